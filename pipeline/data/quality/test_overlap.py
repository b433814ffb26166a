"""Which items of test sets stand in training data, as runs of 13 characters or 8 words.

Chinese items are compared by runs of 13 letters and digits, others by runs of 8 words, whatever the
punctuation, width, case and white space between them. Half of an item's n-grams or more in the data
block the item; any hit is told (contamination as GPT-3 and later reports define it: Brown et al.
2020, appendix C). An item too short for an n-gram counts as one: its whole question, found where a
field of a row says exactly that.

Memory: 12 bytes for each n-gram of the test sets, and one bit of what was found for each.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.contracts.quality_checks import OverlapExample, OverlapWithTestSet
from pipeline.data.quality.flags import excerpt
from pipeline.data.quality.texts import item_fields, text_fields
from pipeline.data.quality.windows import character_windows, word_windows
from pipeline.data.records import DomainItem, MultipleChoiceItem, Record

NUM_CHARACTERS, NUM_WORDS = 13, 8
BLOCKING_SHARE = 0.5
MAX_EXAMPLES = 5
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_NO_UNIT = re.compile(r"[\W_]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A row holds n-grams of an item."""

    test_set: int
    """Index among the test sets."""
    item: int
    item_id: str
    share: float
    """Of the item's n-grams, those in the row, 0 to 1."""
    text: str
    """Where the first of them begins in the row."""


class ItemIndex:
    """The n-grams of one test set's items, and which of them the data hold."""

    def __init__(
        self, number: int, digest: str, items: Sequence[DomainItem | MultipleChoiceItem]
    ) -> None:
        self._number, self._digest = number, digest
        self._ids = [item.id for item in items]
        found = [_ngrams_of(item) for item in items]
        self._is_short = [is_short for _ngrams, is_short in found]
        sizes = np.array([len(ngrams) for ngrams, _ in found], dtype=np.int64)
        ngrams = np.concatenate([ngrams for ngrams, _ in found])
        owners = np.repeat(np.arange(len(items), dtype=np.int32), sizes)
        order = np.lexsort((owners, ngrams))
        self._ngrams, self._owners = ngrams[order], owners[order]
        self._sizes = sizes
        self._is_found = np.zeros(len(ngrams), dtype=bool)
        self._examples: list[OverlapExample] = []

    def hits(self, windows: "RowWindows") -> list[Hit]:
        """The items that the row holds n-grams of, the most complete first."""
        begin = np.searchsorted(self._ngrams, windows.hashes, side="left")
        end = np.searchsorted(self._ngrams, windows.hashes, side="right")
        matching = np.nonzero(end > begin)[0]
        if len(matching) == 0:
            return []
        slots: dict[int, int] = {}
        for window in matching.tolist():
            for slot in range(int(begin[window]), int(end[window])):
                slots.setdefault(slot, window)
        self._is_found[list(slots)] = True
        windows_of: dict[int, list[int]] = {}
        for slot, window in slots.items():
            windows_of.setdefault(int(self._owners[slot]), []).append(window)
        hits = [
            Hit(
                test_set=self._number,
                item=item,
                item_id=self._ids[item],
                share=len(found) / int(self._sizes[item]),
                text=windows.text_at(min(found)),
            )
            for item, found in windows_of.items()
        ]
        return sorted(hits, key=lambda hit: (-hit.share, hit.item))

    def remember(self, row: int, row_id: str, hits: Sequence[Hit]) -> None:
        """The row's hits may be the examples that are shown."""
        self._examples += [
            OverlapExample(
                row=row, row_id=row_id, item_id=hit.item_id, share=hit.share, text=hit.text
            )
            for hit in hits[:MAX_EXAMPLES]
        ]
        self._examples.sort(key=lambda example: (-example.share, example.row))
        del self._examples[MAX_EXAMPLES:]

    def summary(self) -> OverlapWithTestSet:
        """What the rows so far hold of the test set."""
        num_found = np.bincount(self._owners[self._is_found], minlength=len(self._ids))
        return OverlapWithTestSet(
            digest=self._digest,
            num_items=len(self._ids),
            num_hit_items=int((num_found > 0).sum()),
            num_blocking_items=int(
                ((num_found > 0) & (num_found >= BLOCKING_SHARE * self._sizes)).sum()
            ),
            num_short_items=sum(self._is_short),
            examples=tuple(self._examples),
        )


class RowWindows:
    """All n-grams of a row, with where they begin."""

    def __init__(self, record: Record) -> None:
        hashes: list[np.ndarray] = []
        self._starts: list[tuple[str, np.ndarray]] = []
        texts = [text for _field, text in text_fields(record)]
        if isinstance(record, DomainItem) and record.input:
            texts.append(record.question)  # what a short item may be as a whole
        for text in texts:
            for found, starts, where in _field_windows(text):
                hashes.append(found)
                self._starts.append((where, starts))
        self.hashes = np.concatenate(hashes)

    def text_at(self, window: int) -> str:
        """The beginning of the window, as it can be shown."""
        for text, starts in self._starts:
            if window < len(starts):
                return excerpt(text, int(starts[window]))
            window -= len(starts)
        return ""


def _field_windows(text: str) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
    """(hashes, first characters, text they count in) of the characters, the words and the whole."""
    plain = _normal(text)
    units = _NO_UNIT.sub("", plain)
    characters = character_windows(units, NUM_CHARACTERS)
    yield characters, np.arange(len(characters)), units
    words, starts = word_windows(plain, NUM_WORDS)
    yield words, starts, plain
    if units:
        yield _whole(units), np.zeros(1, dtype=np.int64), plain


def _ngrams_of(item: DomainItem | MultipleChoiceItem) -> tuple[np.ndarray, bool]:
    """(different n-grams of the item, whether it is its whole question instead)."""
    found = []
    for _field, text in item_fields(item):
        plain = _normal(text)
        units = _NO_UNIT.sub("", plain)
        if len(_HAN.findall(units)) >= len(plain.split()):
            found.append(character_windows(units, NUM_CHARACTERS))
        else:
            found.append(word_windows(plain, NUM_WORDS)[0])
    ngrams = np.unique(np.concatenate(found))
    if len(ngrams):
        return ngrams, False
    return _whole(_NO_UNIT.sub("", _normal(item.question))), True


def _whole(units: str) -> np.ndarray:
    """The text as one window, told apart from n-grams by its frame."""
    return character_windows(f"\x02{units}\x03", len(units) + 2)


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()

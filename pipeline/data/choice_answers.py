"""Which choices an answer names: a letter in any dress, a number, the choice's text, or several.

Only what can be read in one way is read: a letter or a number that is the text of another choice
than the one it names is refused.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from pipeline.contracts.row_error_phrases import ANSWER_TYPE
from pipeline.data.choices import LETTERS
from pipeline.data.row_fields import InvalidRowError, wrong_type
from pipeline.data.truth_words import index_of_truth, truth_of

_LETTER = re.compile(
    r"(?:\u6b63\u786e)?(?:\u7b54\u6848|\u9009\u9879|\u9009|answer)?\s*(?:\u662f|\u4e3a|:)?\s*"
    r"[(\[\u3010<]*\s*([A-H])\s*[)\]\u3011>]*\s*[.\u3002\u3001,:;]*\s*\u9879?",
    re.IGNORECASE,
)
"""A letter alone, in NFKC: `B`, `b.`, `(B)`, and with the words for answer and choice before it."""
_LETTER_AND_TEXT = re.compile(r"[(\[\u3010]?([A-H])[.\u3001,:)\]\u3011\s]+(.+)", re.DOTALL)
_LETTERS_TOGETHER = re.compile(
    r"[A-Ha-h](?:[\s,\u3001;/|+&\u548c\u4e0e\u53ca]*[A-Ha-h])+[.\u3002]?"
)
_SEPARATORS = re.compile(r"[,\u3001;|\n]+")


def right_choices(answer: object, choices: Sequence[str], *, first_number: int) -> tuple[int, ...]:
    """Indices from 0 of the choices that `answer` names, each once, in rising order.

    Args:
        answer: a letter, a number, a text, or a list of them.
        choices: at least two texts.
        first_number: what the first choice is called where answers are numbers, 0 or 1.

    Raises:
        InvalidRowError: `row.type`, `row.answer_range` or `row.answer_ambiguous`.
    """
    plain = [plain_text(choice) for choice in choices]
    if isinstance(answer, list) and answer:
        found = [_one(item, plain, first_number) for item in answer]
    elif isinstance(answer, str):
        found = _named(answer, plain, first_number)
    else:
        found = [_one(answer, plain, first_number)]
    indices = [index for index in found if index is not None]
    if len(indices) < len(found) or len(set(indices)) < len(indices):
        raise InvalidRowError(
            "row.answer_range",
            "answer",
            value=answer,
            count=len(choices),
            first=first_number,
            last=first_number + len(choices) - 1,
        )
    return tuple(sorted(indices))


def is_number(answer: object) -> bool:
    """The answer counts: a number, or a text of one or two digits."""
    if isinstance(answer, str):
        return answer.isascii() and answer.isdigit() and len(answer) < 3
    return isinstance(answer, int) and not isinstance(answer, bool)


def plain_text(text: str) -> str:
    """As it is compared: NFKC, without white space around it."""
    return unicodedata.normalize("NFKC", text).strip()


def _bare(index: int, choice: str) -> str:
    """A choice without its own letter, where that stands before its text."""
    match = _LETTER_AND_TEXT.fullmatch(choice)
    return match[2].strip() if match and match[1] == LETTERS[index] else choice


def _named(answer: str, choices: Sequence[str], first_number: int) -> list[int | None]:
    text = plain_text(answer)
    single = _one(answer, choices, first_number)
    letters = [c for c in text.upper() if c in LETTERS]
    if not _LETTERS_TOGETHER.fullmatch(text):
        letters = []
    if single is not None:
        if letters:
            raise _ambiguous(answer)
        return [single]
    if letters:
        return [_in_range(LETTERS.index(letter), choices) for letter in letters]
    parts = [part.strip() for part in _SEPARATORS.split(text) if part.strip()]
    if len(parts) > 1:
        return [_one(part, choices, first_number) for part in parts]
    return [None]


def _one(answer: object, choices: Sequence[str], first_number: int) -> int | None:
    """The one choice that is named, or None."""
    if isinstance(answer, bool):
        index = index_of_truth(choices, is_true=answer)
        if index is None:
            raise wrong_type("answer", answer, ANSWER_TYPE)
        return index
    if isinstance(answer, int):
        return _in_range(answer - first_number, choices)
    if not isinstance(answer, str):
        raise wrong_type("answer", answer, ANSWER_TYPE)
    readings = set(_readings(plain_text(answer), choices, first_number))
    if len(readings) > 1:
        raise _ambiguous(answer)
    return readings.pop() if readings else None


def _readings(text: str, choices: Sequence[str], first_number: int) -> Iterator[int]:
    """Each choice that the text can mean."""
    bare = [_bare(index, choice) for index, choice in enumerate(choices[: len(LETTERS)])]
    match = _LETTER.fullmatch(text)
    if match and (index := _in_range(LETTERS.index(match[1].upper()), choices)) is not None:
        yield index
    if is_number(text) and (index := _in_range(int(text) - first_number, choices)) is not None:
        yield index
    yield from (index for index, choice in enumerate(choices) if choice == text)
    yield from (index for index, choice in enumerate(bare) if choice == text)
    match = _LETTER_AND_TEXT.fullmatch(text)
    if match:
        index = LETTERS.index(match[1])
        if index < len(bare) and bare[index] == match[2].strip():
            yield index
    is_true = truth_of(text)
    if is_true is not None and (index := index_of_truth(bare, is_true=is_true)) is not None:
        yield index


def _in_range(index: int, choices: Sequence[str]) -> int | None:
    return index if 0 <= index < len(choices) else None


def _ambiguous(answer: str) -> InvalidRowError:
    return InvalidRowError("row.answer_ambiguous", "answer", value=answer)

"""Lines that stand in many rows: headers, footers, notices, phrases of a template.

A line counts once for each row whose text it is a line of, by its canonical form, from ten
characters on. It is boilerplate in at least 5 rows that are at least 1 in 200. Two passes: a
count-min sketch of fixed size (16 MiB; Cormode and Muthukrishnan 2005), which never counts too
little, names candidates; these alone are counted exactly. Memory does not grow with the rows.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator

import numpy as np

from pipeline.data.quality.texts import canonical
from pipeline.data.quality.windows import mixed

MIN_CHARACTERS = 10
MIN_ROWS = 5
ROWS_PER_LINE = 200
_WIDTH = 1 << 20
_DEPTH = 4
_SALTS = mixed(np.arange(_DEPTH))


class RepeatedLines:
    """First `sketch` every row, then `count` every row; then `repeated` knows the lines."""

    def __init__(self) -> None:
        self._table = np.zeros((_DEPTH, _WIDTH), dtype=np.uint32)
        self._num_rows = 0
        self._counts: Counter[bytes] = Counter()
        self._words: dict[bytes, str] = {}

    @property
    def min_rows(self) -> int:
        """Rows that a line must stand in."""
        return max(MIN_ROWS, -(-self._num_rows // ROWS_PER_LINE))

    def sketch(self, text: str) -> None:
        """The lines of the next row's text are counted roughly."""
        self._num_rows += 1
        digests = {digest for digest, _line in _lines(text)}
        if digests:
            places = _places(digests)
            for depth in range(_DEPTH):
                np.add.at(self._table[depth], places[depth], 1)

    def count(self, text: str) -> None:
        """The candidates among the lines of the next row's text are counted."""
        lines = dict(_lines(text))
        if not lines:
            return
        places = _places(lines)
        estimates = np.min([self._table[d][places[d]] for d in range(_DEPTH)], axis=0)
        for (digest, line), estimate in zip(lines.items(), estimates.tolist(), strict=True):
            if estimate >= self.min_rows:
                self._counts[digest] += 1
                self._words.setdefault(digest, line)

    def repeated(self) -> dict[str, int]:
        """Line -> rows that have it, most frequent first."""
        return {
            self._words[digest]: count
            for digest, count in self._counts.most_common()
            if count >= self.min_rows
        }

    def most_repeated(self, text: str) -> tuple[str, int] | None:
        """(line, rows that have it) of the text's most frequent boilerplate."""
        found = [(self._counts[digest], line) for digest, line in _lines(text)]
        count, line = max(found, default=(0, ""), key=lambda pair: pair[0])
        return (line, count) if count >= self.min_rows else None


def _lines(text: str) -> Iterator[tuple[bytes, str]]:
    for line in text.splitlines():
        content = canonical(line)
        if len(content) >= MIN_CHARACTERS:
            digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8)
            yield digest.digest(), line.strip()


def _places(digests: "set[bytes] | dict[bytes, str]") -> np.ndarray:
    """int64 [4, lines]."""
    numbers = np.frombuffer(b"".join(digests), dtype="<u8")
    return (mixed(numbers[None, :] ^ _SALTS[:, None]) % np.uint64(_WIDTH)).astype(np.int64)

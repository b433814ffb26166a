"""Rows that say the same as an earlier one, by a digest of their canonical text: 16 bytes a row."""

import hashlib
from collections.abc import Iterator

import numpy as np

DIGEST_BYTES = 16


class ExactDuplicates:
    """Takes every row's text once, in order, and then names the repetitions."""

    def __init__(self) -> None:
        self._digests = bytearray()

    def add(self, text: str) -> None:
        """The next row's canonical text."""
        content = text.encode("utf-8", "surrogatepass")
        self._digests += hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()

    def repetitions(self) -> Iterator[tuple[int, int]]:
        """(index of a row, index of the first row with its text), rows in order."""
        halves = np.frombuffer(self._digests, dtype="<u8").reshape(-1, 2)
        if len(halves) == 0:
            return
        order = np.lexsort((halves[:, 1], halves[:, 0]))  # stable: equal texts keep their order
        ordered = halves[order]
        is_first = np.ones(len(order), dtype=bool)
        is_first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
        first_of_group = order[is_first][np.cumsum(is_first) - 1]
        first = np.empty(len(order), dtype=np.int64)
        first[order] = first_of_group
        for row in np.nonzero(first != np.arange(len(order)))[0].tolist():
            yield row, int(first[row])

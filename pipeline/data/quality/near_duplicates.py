"""Rows that say nearly the same as an earlier one, by the Jaccard similarity of their shingles.

A shingle is a run of five characters of the canonical text.

MinHash (Broder 1997; `datasketch`) with banding finds which rows may be similar: 126 permutations
in 21 bands of 6, so that a pair of similarity 0.8 is found with probability 1 - (1 - 0.8^6)^21 =
0.998. What is found is then compared itself, so no flag rests on an estimate of MinHash: exactly up
to 512 different shingles a row, beyond that by the 512 smallest hashes of both (standard error
0.018 at 0.8).

A row is a near duplicate when a row that is *kept* before it is similar; duplicates are compared
with nothing later. So every row that would be dropped has a similar one that stays, which is not so
for chains of similar rows. The first of each group is kept.

Memory: 168 bytes a row on disk and 9 bytes a row in memory, and 4 kB for each row that shares a
band with another one, until the last of them has passed.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from datasketch import MinHash

from pipeline.data.quality.windows import character_windows

SHINGLE = 5
NUM_BANDS, BAND_ROWS = 21, 6
MIN_CHARACTERS = 20
"""Shorter texts are compared as a whole only: one other character makes them another text."""
MAX_SKETCH = 512
_SEED = 1
_BATCH = 4_096


class BandKeys:
    """Band keys of every row, in a scratch file: uint64 [rows, 21]."""

    def __init__(self, scratch: Path) -> None:
        self._path = scratch
        self._file = scratch.open("wb")
        self._empty = MinHash(num_perm=NUM_BANDS * BAND_ROWS, seed=_SEED, hashfunc=int)
        self._can_match = bytearray()

    def add(self, text: str) -> None:
        """The next row's canonical text."""
        self._can_match.append(len(text) >= MIN_CHARACTERS)
        self._file.write(self._keys(text).tobytes())

    def related(self) -> np.ndarray:
        """int64 [rows]: index of the last row that shares a band with each; -1 if none does."""
        self._file.close()
        num_rows = len(self._can_match)
        last = np.full(num_rows, -1, dtype=np.int64)
        compared = np.nonzero(np.frombuffer(self._can_match, dtype=bool))[0]
        if len(compared) == 0:
            return last
        for band in range(NUM_BANDS):
            keys = self._all()[compared, band]
            order = np.argsort(keys, kind="stable")
            ends = np.nonzero(np.append(keys[order][1:] != keys[order][:-1], True))[0]
            sizes = np.diff(ends, prepend=-1)
            last_of_group = np.repeat(compared[order[ends]], sizes)
            is_shared = np.repeat(sizes > 1, sizes)
            rows = compared[order[is_shared]]
            last[rows] = np.maximum(last[rows], last_of_group[is_shared])
        return last

    def of(self, row: int) -> list[int]:
        """The row's keys, one for each band."""
        return [int(key) for key in self._all()[row]]

    def discard(self) -> None:
        """The scratch file is removed."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _all(self) -> np.ndarray:
        return np.memmap(self._path, dtype="<u8", mode="r").reshape(-1, NUM_BANDS)

    def _keys(self, text: str) -> np.ndarray:
        signature = self._empty.copy()
        hashes = (character_windows(text, SHINGLE) & np.uint64(0xFFFFFFFF)).tolist()
        for start in range(0, len(hashes), _BATCH):
            signature.update_batch(hashes[start : start + _BATCH])
        bands = signature.digest().astype(np.uint64).reshape(NUM_BANDS, BAND_ROWS)
        weights = np.arange(1, BAND_ROWS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) | 1
        with np.errstate(over="ignore"):
            return (bands * weights).sum(axis=1, dtype=np.uint64)


class KeptRows:
    """The rows that are kept so far, as far as a later one may be similar to them."""

    def __init__(self, keys: BandKeys, related: np.ndarray, similarity: float) -> None:
        self._keys = keys
        self._related = related
        self._similarity = similarity
        self._sketches: dict[int, np.ndarray] = {}
        self._buckets: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        self._leaving: defaultdict[int, list[int]] = defaultdict(list)

    def original_of(self, row: int, text: str) -> tuple[int, float] | None:
        """(index, similarity) of the first kept row that this one is a near duplicate of.

        None makes it a kept row itself. Rows come in order.
        """
        last = int(self._related[row])
        found = None
        if last >= 0:
            keys = list(enumerate(self._keys.of(row)))
            own = sketch(text)
            candidates = sorted({other for key in keys for other in self._buckets.get(key, ())})
            found = self._first_similar(own, candidates)
            if found is None and last > row:
                self._sketches[row] = own
                self._leaving[last].append(row)
                for key in keys:
                    self._buckets[key].append(row)
        return found

    def leave(self, row: int) -> None:
        """The row is through: what only it could be similar to is forgotten."""
        for gone in self._leaving.pop(row, ()):
            self._forget(gone)

    def _first_similar(self, own: np.ndarray, others: Iterable[int]) -> tuple[int, float] | None:
        for other in others:
            similarity = jaccard(own, self._sketches[other])
            if similarity >= self._similarity:
                return other, similarity
        return None

    def _forget(self, row: int) -> None:
        del self._sketches[row]
        for key in enumerate(self._keys.of(row)):
            self._buckets[key].remove(row)
            if not self._buckets[key]:
                del self._buckets[key]


def sketch(text: str) -> np.ndarray:
    """uint64 [at most 512], ascending: the smallest different hashes of the text's shingles."""
    return np.unique(character_windows(text, SHINGLE))[:MAX_SKETCH]


def jaccard(left: np.ndarray, right: np.ndarray) -> float:
    """Similarity of two sets of shingles by their sketches, 0 to 1; exact where both are whole."""
    union = np.union1d(left, right)
    if len(left) == MAX_SKETCH or len(right) == MAX_SKETCH:
        # What both sketches can know of: the smallest hashes of the union (Broder 1997).
        union = union[:MAX_SKETCH]
    shared = np.intersect1d(left, right, assume_unique=True)
    return len(np.intersect1d(shared, union, assume_unique=True)) / max(len(union), 1)

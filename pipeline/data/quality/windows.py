"""Hashes of all windows of a text at once: characters or words in a row, as 64-bit numbers.

The hash of a window is a polynomial of its characters' numbers modulo 2^64, each character first
spread over 64 bits (splitmix64; Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195). Equal
windows have equal hashes in every text and on every machine. Two different ones collide by chance
once in 10^19 pairs, which is why hashes stand for windows here.
"""

import functools
import re

import numpy as np

_BASE = 0x9E3779B97F4A7C15 | 1
_INVERSE = pow(_BASE, -1, 1 << 64)
_TABLE_SIZE = 8_192
"""Powers that are kept; longer texts compute their own."""
_WORD = re.compile(r"[^\W_]+")


def code_points(text: str) -> np.ndarray:
    """uint32 [characters]."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def character_windows(text: str, size: int) -> np.ndarray:
    """uint64 [characters - size + 1]: of each run of `size` characters; none if shorter."""
    starts = np.arange(max(len(text) - size + 1, 0))
    return _hashes(text, starts, starts + size)


def word_windows(text: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(uint64 hash, int64 first character) of each run of `size` words of the text.

    Words are runs of letters and digits; what stands between them counts as one space.
    """
    spans = [match.span() for match in _WORD.finditer(text)]
    joined = " ".join(text[start:end] for start, end in spans)
    lengths = np.array([end - start for start, end in spans], dtype=np.int64)
    ends = np.cumsum(lengths + 1) - 1
    starts = ends - lengths
    num_windows = max(len(spans) - size + 1, 0)
    hashes = _hashes(joined, starts[:num_windows], ends[size - 1 :][:num_windows])
    return hashes, np.array([start for start, _ in spans[:num_windows]], dtype=np.int64)


def mixed(numbers: np.ndarray) -> np.ndarray:
    """uint64 [n]: each number spread over all 64 bits (splitmix64)."""
    with np.errstate(over="ignore"):
        value = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _hashes(text: str, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    if len(starts) == 0:
        return np.zeros(0, dtype=np.uint64)
    numbers = mixed(code_points(text))
    with np.errstate(over="ignore"):
        prefix = np.zeros(len(numbers) + 1, dtype=np.uint64)
        np.cumsum(numbers * _powers(_BASE, len(numbers)), out=prefix[1:])
        polynomials = (prefix[ends] - prefix[starts]) * _powers(_INVERSE, len(numbers))[starts]
    return mixed(polynomials)


@functools.cache
def _power_table(base: int, count: int) -> np.ndarray:
    factors = np.full(count, base, dtype=np.uint64)
    factors[:1] = 1
    return np.multiply.accumulate(factors)


def _powers(base: int, count: int) -> np.ndarray:
    if count > _TABLE_SIZE:
        return _power_table.__wrapped__(base, count)
    return _power_table(base, _TABLE_SIZE)[:count]

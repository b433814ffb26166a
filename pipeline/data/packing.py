"""Pieces of documents are packed into rows of at most `max_seq_length` tokens.

Best-fit decreasing: the longest piece first, each into the fullest row that still has room. A
document is only cut when it is longer than a whole row. Source: Ding et al. 2024, arXiv 2404.10830.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence

MIN_PIECE_TOKENS = 2
"""A single token predicts nothing."""


def split_long(num_tokens: int, max_seq_length: int) -> list[tuple[int, int]]:
    """(start, end) of the pieces of a document, each at most `max_seq_length` long.

    A last piece too short to predict anything is left out.
    """
    starts = range(0, num_tokens, max_seq_length)
    pieces = [(start, min(start + max_seq_length, num_tokens)) for start in starts]
    return [(start, end) for start, end in pieces if end - start >= MIN_PIECE_TOKENS]


def best_fit_decreasing(lengths: Sequence[int], max_seq_length: int) -> list[list[int]]:
    """Rows of indexes into `lengths`; each index once, no row longer than `max_seq_length`.

    Deterministic: equal lengths keep their order. O(n log n) comparisons.

    Raises:
        ValueError: a length is above `max_seq_length` (cut it with `split_long` first).
    """
    if lengths and max(lengths) > max_seq_length:
        raise ValueError(f"a piece of {max(lengths)} tokens is longer than {max_seq_length}")
    rows: list[list[int]] = []
    # (free tokens, row), sorted: the first entry with enough room is the best fit.
    free: list[tuple[int, int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        position = bisect_left(free, (lengths[index], -1))
        if position < len(free):
            room, row = free.pop(position)
        else:
            room, row = max_seq_length, len(rows)
            rows.append([])
        rows[row].append(index)
        insort(free, (room - lengths[index], row))
    return rows

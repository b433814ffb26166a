"""The order in which a run sees its data: sources mixed by tokens, each epoch a new permutation.

The whole order is a pure function of the sources, the weights, the budget and the seed, so any
position can be entered again and its figures (epochs, tokens by source) can be recomputed.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.data.packing import best_fit_decreasing, split_long
from pipeline.data.tokenize import TokenizedRow
from pipeline.errors import DataError

PACKING_WINDOW_ROWS = 64
"""Pieces are packed together from stretches of the order this many rows long: long enough for full
rows (above 99% on documents of 50-400 tokens), short enough to keep the mixture and the epochs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Tokenised rows that are drawn from together."""

    name: str
    weight: float
    """Share of the tokens, relative to the other sources'."""
    rows: Sequence[TokenizedRow]


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A stretch of one row of one source, in one epoch of that source."""

    source: int
    epoch: int
    row: int
    start: int
    end: int

    @property
    def num_tokens(self) -> int:
        """Tokens of the piece."""
        return self.end - self.start


def mix(
    sources: Sequence[Source], *, num_tokens: int, max_seq_length: int, seed: int | str
) -> list[Piece]:
    """The pieces of a run in order, until they hold at least `num_tokens` tokens.

    At every point the source that lags its share of the tokens most comes next, so each source's
    share is met to within one document at any time, not only on average. An epoch of a source ends
    only after each of its rows was seen once.

    Raises:
        DataError: `data.empty` when a source has no row that can be trained on.
    """
    total_weight = sum(source.weight for source in sources)
    streams = [
        _epochs(index, source, max_seq_length=max_seq_length, seed=seed)
        for index, source in enumerate(sources)
    ]
    drawn = [0] * len(sources)
    pieces: list[Piece] = []
    total = 0
    while total < num_tokens:
        # Tokens it has, over its share: the smallest lags most. Ties go to the first source.
        shares = [source.weight / total_weight for source in sources]
        index = min(range(len(sources)), key=lambda i: drawn[i] / shares[i])
        for piece in next(streams[index]):
            pieces.append(piece)
            drawn[index] += piece.num_tokens
            total += piece.num_tokens
    return pieces


def pack(pieces: Sequence[Piece], *, max_seq_length: int, seed: int | str) -> list[list[Piece]]:
    """Rows of pieces; every piece once, in windows that follow the order of `pieces`.

    Within a window rows are shuffled: best-fit decreasing leaves them sorted by length.
    """
    rows: list[list[Piece]] = []
    for number, window in enumerate(_windows(pieces, PACKING_WINDOW_ROWS * max_seq_length)):
        lengths = [piece.num_tokens for piece in window]
        packed = best_fit_decreasing(lengths, max_seq_length)
        _generator(seed, "window", number).shuffle(packed)
        rows.extend([[window[i] for i in row] for row in packed])
    return rows


def _epochs(
    index: int, source: Source, *, max_seq_length: int, seed: int | str
) -> Iterator[list[Piece]]:
    """The pieces of one row after another, epoch after epoch."""
    ranges = [split_long(len(row.input_ids), max_seq_length) for row in source.rows]
    order = [row for row, pieces in enumerate(ranges) if pieces]
    if not order:
        raise DataError(
            "data.empty",
            f"source {source.name!r} has no row with two tokens or more; add data or remove it",
        )
    epoch = 0
    while True:
        permutation = order.copy()
        _generator(seed, source.name, epoch).shuffle(permutation)
        for row in permutation:
            yield [
                Piece(source=index, epoch=epoch, row=row, start=start, end=end)
                for start, end in ranges[row]
            ]
        epoch += 1


def _windows(pieces: Sequence[Piece], window_tokens: int) -> Iterator[list[Piece]]:
    window: list[Piece] = []
    total = 0
    for piece in pieces:
        window.append(piece)
        total += piece.num_tokens
        if total >= window_tokens:
            yield window
            window, total = [], 0
    if window:
        yield window


def _generator(seed: int | str, *names: str | int) -> random.Random:
    """A generator of its own for each purpose; independent of Python's hash seed."""
    key = "/".join(str(name) for name in (seed, *names))
    return random.Random(hashlib.sha256(key.encode()).digest())

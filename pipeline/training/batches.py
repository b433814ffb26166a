"""Packed rows as tensors, and the steps of a phase as a seekable sequence of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pipeline.contracts.training_specs import BatchSettings
from pipeline.data.mixture import Piece, Source, mix, pack
from pipeline.data.tokenize import IGNORED_LABEL


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedBatch:
    """One packed row of several documents, without padding."""

    input_ids: torch.Tensor
    """int64 [1, T]."""
    position_ids: torch.Tensor
    """int64 [1, T], starting again at 0 with each document; they alone mark the boundaries."""
    labels: torch.Tensor
    """int64 [1, T], aligned with `input_ids` (position t is predicted from t - 1)."""
    row_ids: tuple[str, ...]
    tokens_by_source: dict[str, int]


def packed_batch(
    documents: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    row_ids: Sequence[str],
    tokens_by_source: dict[str, int],
) -> PackedBatch:
    """The documents, given as (input_ids, labels), one after another in a row.

    A document's first label is dropped: the position before it belongs to another document.
    """
    labels = [np.concatenate([[IGNORED_LABEL], labels[1:]]) for _, labels in documents]
    return PackedBatch(
        input_ids=torch.from_numpy(np.concatenate([ids for ids, _ in documents]))[None],
        position_ids=torch.cat([torch.arange(len(ids)) for ids, _ in documents])[None],
        labels=torch.from_numpy(np.concatenate(labels))[None],
        row_ids=tuple(row_ids),
        tokens_by_source=tokens_by_source,
    )


class MixtureBatches:
    """The steps of one phase over a mixture of sources (a `BatchSource`).

    One micro-batch is one packed row. The last step has fewer when the rows do not fill it.
    """

    def __init__(
        self, sources: Sequence[Source], *, num_tokens: int, batch: BatchSettings, seed: int | str
    ) -> None:
        self._sources = sources
        self._rows_per_step = batch.gradient_accumulation_steps
        pieces = mix(sources, num_tokens=num_tokens, max_seq_length=batch.max_seq_length, seed=seed)
        self._rows = pack(pieces, max_seq_length=batch.max_seq_length, seed=seed)
        self._digest = self._plan_digest()

    @property
    def num_steps(self) -> int:
        """Optimizer steps in all."""
        return -(-len(self._rows) // self._rows_per_step)

    @property
    def num_tokens(self) -> int:
        """Non-padding tokens in all."""
        return sum(piece.num_tokens for row in self._rows for piece in row)

    def micro_batches(self, step: int) -> list[PackedBatch]:
        """The packed rows of the optimizer step with this 0-based index."""
        start = step * self._rows_per_step
        return [self._tensors(row) for row in self._rows[start : start + self._rows_per_step]]

    def cursor(self, step: int) -> dict[str, Any]:
        """Rows consumed after `step` steps, and the digest of the data and its whole order."""
        consumed = min(step * self._rows_per_step, len(self._rows))
        return {"next_row": consumed, "num_rows": len(self._rows), "plan_sha256": self._digest}

    def epochs_by_source(self) -> dict[str, float]:
        """How often each source was gone through at the end; 1.5 is half-way through a second."""
        drawn = self.tokens_by_source()
        return {
            source.name: drawn[source.name] / sum(len(row.input_ids) for row in source.rows)
            for source in self._sources
        }

    def tokens_by_source(self) -> dict[str, int]:
        """Non-padding tokens of each source in all."""
        return _count(self._sources, [piece for row in self._rows for piece in row])

    def _tensors(self, row: Sequence[Piece]) -> PackedBatch:
        tokenized = [self._sources[piece.source].rows[piece.row] for piece in row]
        return packed_batch(
            [
                (
                    source_row.input_ids[piece.start : piece.end],
                    source_row.labels[piece.start : piece.end],
                )
                for piece, source_row in zip(row, tokenized, strict=True)
            ],
            row_ids=[source_row.id for source_row in tokenized],
            tokens_by_source=_count(self._sources, row),
        )

    def _plan_digest(self) -> str:
        content = hashlib.sha256()
        for source in self._sources:
            content.update(f"{source.name}\0{len(source.rows)}\n".encode())
            for row in source.rows:
                content.update(f"{row.id}\0{len(row.input_ids)}\n".encode())
                content.update(row.input_ids.tobytes())
                content.update(row.labels.tobytes())
        for packed in self._rows:
            places = [(p.source, p.epoch, p.row, p.start, p.end) for p in packed]
            content.update(repr(places).encode())
        return content.hexdigest()


def _count(sources: Sequence[Source], pieces: Sequence[Piece]) -> dict[str, int]:
    counts = {source.name: 0 for source in sources}
    for piece in pieces:
        counts[sources[piece.source].name] += piece.num_tokens
    return counts

"""What training makes of one row: the very functions it uses, on one row at a time."""

from dataclasses import dataclass, field

import numpy as np
from transformers import PreTrainedTokenizerBase

from pipeline.data.packing import split_long
from pipeline.data.records import Conversation, Document, DomainItem, Record
from pipeline.data.tokenize import (
    IGNORED_LABEL,
    TokenizedRow,
    tokenize_conversations,
    tokenize_documents,
    truncate,
)
from pipeline.errors import DataError


@dataclass(kw_only=True, slots=True)
class PreviewedRow:
    """What training makes of one row."""

    parts: list[TokenizedRow] = field(default_factory=list)
    """As the batches hold them, except that the first label of each is not trained on there."""
    lost: TokenizedRow | None = None
    error: str = ""

    @property
    def num_tokens(self) -> int:
        """With what is cut off."""
        return sum(len(part.input_ids) for part in self.parts) + self.num_lost_tokens

    @property
    def num_lost_tokens(self) -> int:
        """What training does not see."""
        return 0 if self.lost is None else len(self.lost.input_ids)

    @property
    def num_trained_tokens(self) -> int:
        """Tokens with a loss."""
        return sum(int(is_trained(part).sum()) for part in self.parts)

    @property
    def is_cut(self) -> bool:
        """It does not fit into one row of the batch."""
        return self.lost is not None or len(self.parts) > 1


def preview_row(
    record: Record, tokenizer: PreTrainedTokenizerBase, max_seq_length: int
) -> PreviewedRow:
    """What training makes of the record; a row that would stop it has an error instead.

    Raises:
        ModelError: as `tokenize_conversations`.
    """
    try:
        if isinstance(record, Document):
            [row] = tokenize_documents([record], tokenizer)
            return _split(row, max_seq_length)
        if not isinstance(record, Conversation | DomainItem):
            raise TypeError(f"nothing trains on a {type(record).__name__}")
        [row] = tokenize_conversations([record], tokenizer)
    except DataError as exc:
        return PreviewedRow(error=f"{exc.code}: {exc}")
    try:
        kept = truncate(row, max_seq_length)
    except DataError as exc:
        return PreviewedRow(lost=row, error=f"{exc.code}: {exc}")
    lost = _part(row, len(kept.input_ids), len(row.input_ids))
    return PreviewedRow(parts=[kept], lost=lost if len(lost.input_ids) else None)


def is_trained(row: TokenizedRow) -> np.ndarray:
    """bool [T]: which tokens carry a loss. The first never does: nothing stands before it."""
    trained = row.labels != IGNORED_LABEL
    trained[:1] = False
    return trained


def _split(row: TokenizedRow, max_seq_length: int) -> PreviewedRow:
    """A document as the pieces it is packed in."""
    pieces = split_long(len(row.input_ids), max_seq_length)
    end = pieces[-1][1] if pieces else 0
    lost = _part(row, end, len(row.input_ids))
    return PreviewedRow(
        parts=[_part(row, start, stop) for start, stop in pieces],
        lost=lost if len(lost.input_ids) else None,
    )


def _part(row: TokenizedRow, start: int, end: int) -> TokenizedRow:
    return TokenizedRow(id=row.id, input_ids=row.input_ids[start:end], labels=row.labels[start:end])

"""A look at what training would make of the first rows of a version: tokens, mask and cuts."""

from typing import Literal

from pydantic import Field, model_validator

from pipeline.contracts.base import Contract, SpecBase
from pipeline.contracts.references import DatasetRef, Reference

MAX_PREVIEW_ROWS = 50


class PreviewTokensSpec(SpecBase):
    """Tokenise a few rows with a model's tokenizer and chat template, as its training would."""

    kind: Literal["preview_tokens"] = "preview_tokens"
    model: Reference
    """Only its tokenizer and chat template are read."""
    dataset: DatasetRef
    start: int = Field(default=0, ge=0)
    """Index of the first row, from 0."""
    num_rows: int = Field(default=10, ge=1, le=MAX_PREVIEW_ROWS)
    max_seq_length: int = Field(default=2048, ge=8)
    """Tokens: where training cuts rows (`batch.max_seq_length`)."""

    @model_validator(mode="after")
    def _rows_can_be_trained_on(self) -> "PreviewTokensSpec":
        if self.dataset.kind == "multiple_choice":
            raise ValueError(
                "dataset.kind: multiple choice is for evaluation, nothing trains on it"
            )
        return self


class PreviewTokensResults(Contract):
    """Totals of the rows that were looked at; the tokens themselves are the output `tokens`."""

    kind: Literal["preview_tokens"] = "preview_tokens"
    num_rows: int
    num_tokens: int
    """Of the rows, with what is cut off."""
    num_trained_tokens: int
    """Tokens with a loss, of what is left after the cut."""
    num_cut_rows: int
    """Conversations that lose their end; documents that become several pieces."""
    num_lost_tokens: int
    """Tokens that training does not see."""
    num_unusable_rows: int
    """Rows that would stop the training; the output says why."""
    has_chat_template: bool

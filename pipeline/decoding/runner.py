"""Which forward pass serves a batch: everything that decodes opens its runner here."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel

from pipeline.decoding.kv_cache import CachedModel


class RunnerCache(Protocol):
    """What a batch holds: `lengths[i]` tokens of its sequence i."""

    lengths: list[int]

    def roll_back(self, lengths: Sequence[int]) -> None:
        """Each sequence has the given length; longer than now is an error."""

    def keep_rows(self, rows: Sequence[int]) -> None:
        """Row i is the former row `rows[i]`; the others are dropped. `rows[i] >= i` for every i."""


class Runner(Protocol):
    """The forward pass of a batch of B sequences, with its cache."""

    device: torch.device

    @property
    def cache(self) -> RunnerCache: ...

    def forward(self, input_ids: Tensor, *, num_logits: int) -> Tensor:
        """Append `input_ids` `[B, T]`; logits of the last `num_logits` tokens, `[B, N, V]`.

        Raises:
            DecodingError: `decode.context_too_long` beyond the capacity.
        """

    def prefill(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        """The cache holds the prompts; returns the logits after each of them, `[B, V]`."""


def open_runner(
    model: PreTrainedModel,
    *,
    batch_size: int,
    capacity: int,
    output_ids: Tensor | None = None,
) -> Runner:
    """A runner for `batch_size` sequences of at most `capacity` tokens.

    Args:
        model: The model that computes.
        batch_size: Sequences of the batch.
        capacity: Most tokens of a sequence.
        output_ids: Tokens whose logits are wanted, a 1-D LongTensor in rising order; logits then
            are `[B, N, len(output_ids)]`. None for all.
    """
    return CachedModel(model, batch_size=batch_size, capacity=capacity, output_ids=output_ids)

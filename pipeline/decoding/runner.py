"""Which forward pass serves a batch: everything that decodes opens its runner here."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel

from pipeline.decoding.kv_cache import CachedModel
from pipeline.decoding.lean import build
from pipeline.decoding.lean.model import LeanRunner, pack_if_served
from pipeline.decoding.lean.served import refusal

_uses_kernel: ContextVar[bool] = ContextVar("uses_kernel", default=True)


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


@contextmanager
def kernel_allowed(is_allowed: bool) -> Iterator[None]:
    """Inside, runners use the kernel only if `is_allowed`; inner blocks cannot allow it again."""
    token = _uses_kernel.set(is_allowed and _uses_kernel.get())
    try:
        yield
    finally:
        _uses_kernel.reset(token)


def describe_path(model: PreTrainedModel) -> str:
    """How `model` is decoded on this machine: the kernel's name, or why it is transformers."""
    if build.load() is None:
        return "transformers; the kernel was not built"
    reason = refusal(model)
    return f"kernel {build.kernel_path().stem}" if reason is None else f"transformers; {reason}"


def misses_kernel(model: PreTrainedModel) -> bool:
    """The kernel would serve `model` and was not built."""
    return build.load() is None and refusal(model) is None


def open_lean_runner(
    model: PreTrainedModel, *, most_rows: int, capacity: int, output_ids: Tensor | None = None
) -> LeanRunner | None:
    """A runner of the kernel for `most_rows` sequences, or as many as memory is given to.

    None where the kernel is missing, does not serve the model or is not allowed.
    """
    packed = pack_if_served(model) if _uses_kernel.get() else None
    if packed is None:
        return None
    return LeanRunner(
        packed,
        batch_size=min(most_rows, packed.rows_that_fit(capacity)),
        capacity=capacity,
        output_ids=output_ids,
    )


def open_runner(
    model: PreTrainedModel,
    *,
    batch_size: int,
    capacity: int,
    output_ids: Tensor | None = None,
) -> Runner:
    """A runner for `batch_size` sequences of at most `capacity` tokens.

    The kernel's where it serves the model, transformers' elsewhere.

    Args:
        model: The model that computes.
        batch_size: Sequences of the batch.
        capacity: Most tokens of a sequence.
        output_ids: Tokens whose logits are wanted, a 1-D LongTensor in rising order; logits then
            are `[B, N, len(output_ids)]`. None for all.
    """
    packed = pack_if_served(model) if _uses_kernel.get() else None
    if packed is not None:
        return LeanRunner(packed, batch_size=batch_size, capacity=capacity, output_ids=output_ids)
    return CachedModel(model, batch_size=batch_size, capacity=capacity, output_ids=output_ids)

"""What a training is made of: micro-batches, sources of them, phases, and a phase's figures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import torch
from transformers import PreTrainedModel

from pipeline.contracts.training_results import PhaseResults
from pipeline.training.schedule import LearningRate

NUM_AVERAGED_LOSSES = 10


class TrainingBatch(Protocol):
    """One forward and backward pass; what else it holds is between its source and its loss."""

    @property
    def row_ids(self) -> tuple[str, ...]:
        """Names of the data rows in it, for messages."""

    @property
    def tokens_by_source(self) -> Mapping[str, int]:
        """Non-padding tokens, prompts included, by source of the mixture."""


BatchT = TypeVar("BatchT", bound=TrainingBatch)
BatchT_co = TypeVar("BatchT_co", bound=TrainingBatch, covariant=True)
LossFunction = Callable[[PreTrainedModel, BatchT], tuple[torch.Tensor, int]]
"""(sum of the token losses, number of tokens in that sum) of one micro-batch."""


class BatchSource(Protocol[BatchT_co]):
    """A deterministic sequence of optimizer steps that can be entered anywhere."""

    @property
    def num_steps(self) -> int:
        """Optimizer steps in all."""

    @property
    def num_tokens(self) -> int:
        """Non-padding tokens in all."""

    def micro_batches(self, step: int) -> Sequence[BatchT_co]:
        """What the optimizer step with this 0-based index sees."""

    def cursor(self, step: int) -> dict[str, Any]:
        """The position after `step` steps as JSON; equal cursors have equal futures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase(Generic[BatchT]):
    """Steps that share batches, loss and schedule; each phase starts with a fresh optimizer."""

    name: str
    batches: BatchSource[BatchT]
    loss_fn: LossFunction[BatchT]
    learning_rate: LearningRate


@dataclass(kw_only=True, slots=True)
class PhaseFigures:
    """What a phase did; part of the checkpoint, so it covers all attempts of a run."""

    name: str
    num_steps: int = 0
    num_trained_tokens: int = 0
    """Unmasked tokens: those that carry a loss."""
    seconds: float = 0.0
    tokens_by_source: dict[str, int] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    """Mean loss per unmasked token of each step, in nats."""

    @property
    def num_tokens(self) -> int:
        """Non-padding tokens seen, prompts included."""
        return sum(self.tokens_by_source.values())

    def record(
        self, batches: Sequence[TrainingBatch], loss: float, num_targets: int, seconds: float
    ) -> None:
        """One more step is part of the figures."""
        self.num_steps += 1
        self.num_trained_tokens += num_targets
        self.seconds += seconds
        self.losses.append(loss)
        for batch in batches:
            for source, count in batch.tokens_by_source.items():
                self.tokens_by_source[source] = self.tokens_by_source.get(source, 0) + count

    def results(self) -> PhaseResults:
        """What a report says; `loss_last` is the mean of the last ten steps."""
        last = self.losses[-NUM_AVERAGED_LOSSES:]
        return PhaseResults(
            steps=self.num_steps,
            tokens=self.num_tokens,
            trained_tokens=self.num_trained_tokens,
            tokens_by_source=dict(sorted(self.tokens_by_source.items())),
            loss_first=self.losses[0],
            loss_last=sum(last) / len(last),
            seconds=self.seconds,
            tokens_per_second=self.num_tokens / self.seconds,
        )

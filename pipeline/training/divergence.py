"""When training has gone wrong beyond repair, and which rows were there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import TrainingError
from pipeline.training.phases import TrainingBatch

DIVERGED_OVER_FIRST_LOSS = 3.0
DIVERGED_OVER_UNIFORM_LOSS = 2.0
_REMEDY = "lower optimizer.learning_rate or lengthen optimizer.warmup_fraction"


@dataclass(frozen=True, kw_only=True, slots=True)
class StepLosses:
    """What one optimizer step saw, before its weights are changed."""

    phase: str
    step: int
    """Counted from 1 over all phases."""
    batches: Sequence[TrainingBatch]
    loss_sums: Sequence[float]
    """Sum of the token losses of each batch."""
    loss: float
    """Mean over the step's tokens, in nats."""
    grad_norm: float


def refuse_divergence(losses: StepLosses, *, first_loss: float | None, vocab_size: int) -> None:
    """The step's loss is finite and not far above what the phase started with.

    Args:
        losses: the step's.
        first_loss: the mean loss of the phase's first step; None in the first step.
        vocab_size: a uniform guess over it has the loss log(vocab_size).

    Raises:
        TrainingError: `train.non_finite_loss` or `train.diverged`, naming step and rows.
    """
    guilty = [
        row_id
        for batch, loss_sum in zip(losses.batches, losses.loss_sums, strict=True)
        if not math.isfinite(loss_sum)
        for row_id in batch.row_ids
    ]
    rows = ", ".join(guilty or [row_id for batch in losses.batches for row_id in batch.row_ids])
    place = f"at step {losses.step} (phase {losses.phase!r}), rows {rows}"
    if guilty or not math.isfinite(losses.grad_norm):
        raise TrainingError(
            "train.non_finite_loss",
            f"loss {losses.loss}, gradient norm {losses.grad_norm} {place}; {_REMEDY}, or look at "
            "these rows",
        )
    if first_loss is None:
        first_loss = losses.loss
    uniform_loss = math.log(vocab_size)
    # Normalised layers keep a ruined model's loss finite, so that alone proves nothing.
    limit = max(DIVERGED_OVER_FIRST_LOSS * first_loss, DIVERGED_OVER_UNIFORM_LOSS * uniform_loss)
    if losses.loss > limit:
        raise TrainingError(
            "train.diverged",
            f"loss {losses.loss:.3g} is above {limit:.3g} {place}: guessing uniformly would have "
            f"{uniform_loss:.3g}, the first step had {first_loss:.3g}; {_REMEDY}",
        )

"""Learning rate as a pure function of the step: there is no scheduler state to save."""

from collections.abc import Callable

from pipeline.contracts.training_specs import OptimizerSettings

LearningRate = Callable[[int], float]
"""Learning rate of the optimizer step with this 0-based index."""


def warmup_stable_decay(
    settings: OptimizerSettings, num_steps: int, *, scale: float = 1.0
) -> LearningRate:
    """Linear warm-up, a constant phase, then linear decay to the final fraction of the peak.

    The first step already trains (its rate is peak / warm-up steps), the last warm-up step has the
    peak rate and the last step of all has `final_learning_rate_fraction` of it, where there is a
    decay. A phase with a fraction above 0 lasts at least one step, except that warm-up goes first.

    Args:
        num_steps: optimizer steps of the phase.
        scale: multiplies `settings.learning_rate`.
    """
    peak = settings.learning_rate * scale
    num_warmup = _num_steps(settings.warmup_fraction, num_steps)
    num_decay = min(_num_steps(settings.decay_fraction, num_steps), num_steps - num_warmup)

    def learning_rate(step: int) -> float:
        if step < num_warmup:
            return peak * (step + 1) / num_warmup
        num_left = num_steps - 1 - step
        if num_left >= num_decay:
            return peak
        decayed = (num_decay - num_left) / num_decay
        return peak * (1.0 - decayed * (1.0 - settings.final_learning_rate_fraction))

    return learning_rate


def _num_steps(fraction: float, num_steps: int) -> int:
    return max(1, round(fraction * num_steps)) if fraction > 0 else 0

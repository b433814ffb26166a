"""How fast speculation will be on prompts that nobody has timed yet, with an interval."""

import math

import numpy as np

from pipeline.contracts.estimates import Estimate
from pipeline.metrics.distributions import student_quantile
from pipeline.metrics.uncertainty import LEVEL, FloatArray

NUM_DRAWS = 2000


def predicted_speedup_interval(
    tokens: FloatArray,
    rounds: FloatArray,
    costs: FloatArray,
    cost_draws: FloatArray,
    *,
    num_timed: int,
    level: float = LEVEL,
    seed: int = 0,
) -> Estimate:
    """Returns the speedup that timing other prompts should measure, with a prediction interval.

    Definition: median over prompts of tokens / cost of their rounds, the figure that
        `speedup_interval` measures. Interval: prompts are drawn with replacement, from them the
        prompts that will be timed, and the costs from their own spread; quantiles of the medians,
        their distance from the value widened by t / z and sqrt(n / (n - 1)), since few prompts
        vary less than what they were drawn from.
    Direction: higher is better; 1 is as fast as plain decoding.
    Source: predictive bootstrap; `docs/metrics.md` has its measured coverage.

    Args:
        tokens: tokens after the first of each prompt's answer, [num_prompts].
        rounds: how many rounds of each kind decode it, [num_prompts, num_kinds].
        costs: cost of a round of each kind in plain steps, [num_kinds].
        cost_draws: the same, drawn from its spread, [num_kinds, num_draws].
        num_timed: prompts that will be timed.
        level: of the interval; None is given for one prompt.
    """
    value = float(np.median(tokens / (rounds @ costs)))
    num_prompts, num_draws = len(tokens), cost_draws.shape[1]
    bounds = None
    if num_prompts > 1:
        rng = np.random.default_rng(seed)
        speedups = tokens[:, None] / (rounds @ cost_draws)
        population = rng.integers(0, num_prompts, size=(num_draws, num_prompts))
        timed = rng.integers(0, num_prompts, size=(num_draws, num_timed))
        chosen = np.take_along_axis(population, timed, axis=1)
        medians = np.log(np.median(speedups.T[np.arange(num_draws)[:, None], chosen], axis=1))
        tail = (1.0 - level) / 2.0
        widened = _widening(num_prompts, tail)
        low, high = np.quantile(medians, [tail, 1.0 - tail])
        centre = math.log(value)
        bounds = (
            min(value, math.exp(centre + widened * (float(low) - centre))),
            max(value, math.exp(centre + widened * (float(high) - centre))),
        )
    return Estimate(
        value=value,
        low=bounds[0] if bounds else None,
        high=bounds[1] if bounds else None,
        level=level if bounds else None,
        n=num_prompts,
        num_units=num_prompts,
        resampled="prompt",
        method="percentile_bootstrap",
    )


def _widening(num_prompts: int, tail: float) -> float:
    normal = student_quantile(1.0 - tail, math.inf)
    t = student_quantile(1.0 - tail, num_prompts - 1)
    return t / normal * math.sqrt(num_prompts / (num_prompts - 1))

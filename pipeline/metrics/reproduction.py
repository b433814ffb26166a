"""A score of ours beside one that was published without its items.

Only our side has a known uncertainty: the published score is taken as the number it is, rounded as
it was written. `docs/metrics.md`, "Difference to a published score", has what this does not see.
"""

from dataclasses import dataclass

from pipeline.contracts.estimates import Estimate
from pipeline.metrics.distributions import beta_quantile
from pipeline.metrics.uncertainty import LEVEL


@dataclass(frozen=True, kw_only=True, slots=True)
class Reproduced:
    """Our share of right answers, and its difference to the published one."""

    ours: Estimate
    difference: Estimate
    """ours - published"""
    agrees: bool
    """The published score, as rounded, lies within our interval."""


def reproduced(num_right: int, n: int, *, published: float, rounding: float) -> Reproduced:
    """Returns our share with its exact 95% interval beside a published share.

    Args:
        num_right: right answers among `n` questions, taken as independent.
        published: between 0 and 1.
        rounding: half a unit of the last digit that was published.

    Source: Clopper and Pearson 1934; the interval misses on each side in at most 2.5%.
    """
    low, high = exact_interval(num_right, n)
    ours = _estimate(num_right / n, low, high, n)
    difference = _estimate(num_right / n - published, low - published, high - published, n)
    agrees = low <= published + rounding and published - rounding <= high
    return Reproduced(ours=ours, difference=difference, agrees=agrees)


def exact_interval(num_right: int, n: int) -> tuple[float, float]:
    """Returns the exact interval of a share at the level of all others."""
    tail = (1.0 - LEVEL) / 2.0
    num_wrong = n - num_right
    low = beta_quantile(tail, num_right, num_wrong + 1) if num_right else 0.0
    high = beta_quantile(1.0 - tail, num_right + 1, num_wrong) if num_wrong else 1.0
    return low, high


def _estimate(value: float, low: float, high: float, n: int) -> Estimate:
    return Estimate(
        value=value, low=low, high=high, level=LEVEL, n=n, num_units=n, method="clopper_pearson"
    )

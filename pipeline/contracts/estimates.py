"""A figure with what is known of its uncertainty: the one spelling of an interval.

Metrics return it, reports store it, pages and gates read it.
"""

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.contracts.base import Contract

ResampledUnit = Literal["item", "cluster", "prompt", "text"]
"""What was drawn, or left out, as a whole: an item, a cluster of items, a prompt with its repeats.
"""

IntervalMethod = Literal[
    "student_jackknife",
    "skew_corrected_jackknife",
    "fieller_jackknife",
    "rare_changes",
    "clopper_pearson",
    "percentile_bootstrap",
]
"""How an interval was computed; `docs/metrics.md`, "Confidence interval", has the definitions. The
last one is that of medians, and of every report written before the others were here."""

FEW_UNITS = 20
"""Below so many units an interval is a rough one, and decides nothing (Cameron et al. 2008)."""


class Estimate(Contract):
    """A figure over `n` items, with a two-sided interval where one could be computed."""

    value: float
    low: float | None = None
    """None with `high`: fewer than two units, or nothing that bounds the figure."""
    high: float | None = None
    level: float | None = Field(default=None, gt=0.0, lt=1.0)
    """Each side of the interval misses with probability (1 - level) / 2; None without one."""
    n: int = Field(ge=0)
    """Items behind the figure."""
    resampled: ResampledUnit = "item"
    num_units: int = Field(ge=0)
    """How many `resampled` units there were."""
    method: IntervalMethod = "percentile_bootstrap"

    @model_validator(mode="after")
    def _has_a_whole_interval_or_none(self) -> Self:
        if len({self.low is None, self.high is None, self.level is None}) > 1:
            raise ValueError("give `low`, `high` and `level`, or none of them")
        return self

    @property
    def interval(self) -> tuple[float, float, float] | None:
        """(low, high, level), or None where there is no interval."""
        if self.low is None or self.high is None or self.level is None:
            return None
        return self.low, self.high, self.level

    @property
    def has_few_units(self) -> bool:
        """Whether a page must mark the interval as a rough one."""
        return self.num_units < FEW_UNITS


def resampled_unit(n: int, num_units: int) -> ResampledUnit:
    """What was drawn when `n` items fell into `num_units` units."""
    return "item" if num_units == n else "cluster"


class PairedFigure(Contract):
    """One measure of a candidate beside a baseline, on the same items."""

    baseline: float
    candidate: float
    difference: Estimate
    """candidate - baseline"""
    ratio: Estimate | None
    """candidate / baseline; None unless the baseline is positive."""
    improved: int | None
    """Items that became better in the measure's direction; None where an item has no score."""
    regressed: int | None
    tied: int | None
    missing: int
    """Items that only one side scored. They are in no mean; a decision must not pass over them."""

    @property
    def n(self) -> int:
        """Items compared."""
        return self.difference.n

    @property
    def num_units(self) -> int:
        """What was resampled: clusters, or items when there are none."""
        return self.difference.num_units

    @property
    def items_needed(self) -> int | None:
        """Items that would settle the difference alone; as `items_to_settle`."""
        bounds = self.difference.interval
        return None if bounds is None else self.items_to_settle(*bounds[:2])

    def items_to_settle(self, low: float, high: float) -> int | None:
        """How many items of this mix would move an interval off 0, the difference staying as it is.

        The width of an interval falls with the square root of its items. None where the interval
        excludes 0, and for a difference of 0, which no number of items would.

        Args:
            low: lower bound of an interval of `difference`, at whatever level.
            high: its upper bound.
        """
        value = self.difference.value
        reach = value - low if value > 0.0 else high - value
        if value == 0.0 or reach < abs(value):
            return None
        return math.ceil(self.n * (reach / value) ** 2)

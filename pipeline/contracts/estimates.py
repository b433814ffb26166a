"""A figure with what is known of its uncertainty: the one spelling of an interval.

Metrics return it, reports store it, pages and gates read it.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.contracts.base import Contract

ResampledUnit = Literal["item", "cluster", "prompt", "text"]
"""What was drawn with replacement: one item, all items of a cluster, a prompt with its repeats."""


class Estimate(Contract):
    """A figure over `n` items, with a two-sided interval where one could be computed."""

    value: float
    low: float | None = None
    """None with `high`: fewer than two units to resample, or resamples without a bound."""
    high: float | None = None
    level: float = Field(default=0.95, gt=0.0, lt=1.0)
    """Each side of the interval misses with probability (1 - level) / 2."""
    n: int = Field(ge=0)
    """Items behind the figure."""
    resampled: ResampledUnit = "item"
    num_units: int = Field(ge=0)
    """How many `resampled` units there were."""
    method: Literal["percentile_bootstrap"] = "percentile_bootstrap"

    @model_validator(mode="after")
    def _has_both_bounds_or_none(self) -> Self:
        if (self.low is None) != (self.high is None):
            raise ValueError("give both `low` and `high`, or neither")
        return self

    @property
    def bounds(self) -> tuple[float, float] | None:
        """(low, high), or None where there is no interval."""
        if self.low is None or self.high is None:
            return None
        return self.low, self.high

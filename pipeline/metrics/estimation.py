"""From a jackknifed figure, and what hardly changed behind it, to an `Estimate`.

Each function takes the interval that covers best for its kind of figure (`python -m bench coverage`
has the table) and widens it to the exact limits where most items share one value. An interval
without width is never shown: there is none then.
"""

import math
from dataclasses import dataclass

from pipeline.contracts.estimates import Estimate, IntervalMethod, resampled_unit
from pipeline.metrics.exact_limits import Changes, share_interval
from pipeline.metrics.uncertainty import (
    Jackknifed,
    ratio_interval,
    skew_corrected_interval,
    student_interval,
)

Reach = tuple[float, float]
"""How far below and above its value a figure may lie by the exact limits of rare changes."""
NO_REACH: Reach = (0.0, 0.0)
_NO_WIDTH = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """What an estimate rests on, and the level its interval is to have."""

    n: int
    num_units: int
    level: float


def difference_estimate(figure: Jackknifed, reach: Reach, extent: Extent) -> Estimate:
    """Returns a difference with the interval of Student's t, or the exact limits if wider.

    Of clusters, not narrower than with its skewness corrected: losses that sit in few of them.
    """
    interval = None
    if figure.has_error:
        interval = _wider(student_interval(figure, extent.level), _lean(figure, extent))
    return _estimate(figure.value, interval, "student_jackknife", reach, extent)


def ratio_estimate(
    numerator: Jackknifed,
    denominator: Jackknifed,
    reach: Reach,
    extent: Extent,
    *,
    lowest: float = -math.inf,
) -> Estimate | None:
    """Returns a ratio with Fieller's interval, or the exact limits if wider.

    None unless the denominator is positive.

    Args:
        reach: of numerator - denominator.
        lowest: no such ratio can be smaller; the interval ends there too.
    """
    if denominator.value <= 0.0:
        return None
    ratio, interval = numerator.value / denominator.value, None
    if denominator.has_error:
        interval = ratio_interval(numerator, denominator, extent.level)
    if interval is not None:
        low, high = _lean(numerator.minus(denominator, ratio), extent)
        lean = ratio + low / denominator.value, ratio + high / denominator.value
        interval = _wider(interval, lean)
    below, above = reach
    found = _estimate(
        ratio,
        interval,
        "fieller_jackknife",
        (below / denominator.value, above / denominator.value),
        extent,
    )
    return found if found.low is None else found.model_copy(update={"low": max(found.low, lowest)})


def mean_estimate(
    figure: Jackknifed, reach: Reach, bounds: tuple[float, float], extent: Extent
) -> Estimate:
    """Returns the level of a score with the skewness-corrected interval, within `bounds`."""
    interval = skew_corrected_interval(figure, extent.level) if figure.has_error else None
    found = _estimate(figure.value, interval, "skew_corrected_jackknife", reach, extent)
    if found.low is None or found.high is None:
        return found
    low, high = max(found.low, bounds[0]), min(found.high, bounds[1])
    return found.model_copy(update={"low": min(low, found.value), "high": max(high, found.value)})


def positive_estimate(
    value: float, logarithm: Jackknifed, largest: float, extent: Extent
) -> Estimate:
    """Returns a positive figure with the interval of its logarithm, which is far less skewed.

    Not narrower than without a correction for skewness, which is half noise for corpus BLEU.
    """
    level, bounds = extent.level, None
    if logarithm.has_error:
        corrected = skew_corrected_interval(logarithm, level, shrinkage=8.0)
        low, high = _wider(student_interval(logarithm, level), corrected)
        bounds = math.exp(low), min(math.exp(high), largest)
    return _estimate(value, bounds, "skew_corrected_jackknife", NO_REACH, extent)


def share_estimate(events: Changes, share: float, extent: Extent) -> Estimate:
    """Returns the share of items that are 1, the others being 0, with the exact interval.

    Args:
        events: the items, at most half of them unlike the others.
    """
    interval = None
    if extent.num_units > events.num_strata:
        interval = share_interval(events, share, extent.level)
    return _estimate(share, interval, "clopper_pearson", NO_REACH, extent)


def _lean(figure: Jackknifed, extent: Extent) -> tuple[float, float]:
    """The interval that follows the skewness of clusters; of single items only the value."""
    if extent.num_units == extent.n:
        return figure.value, figure.value
    return skew_corrected_interval(figure, extent.level, shrinkage=0.0)


def _wider(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return min(one[0], other[0]), max(one[1], other[1])


def _estimate(
    value: float,
    interval: tuple[float, float] | None,
    method: IntervalMethod,
    reach: Reach,
    extent: Extent,
) -> Estimate:
    low = high = None
    if interval is not None:
        low, high = min(interval[0], value - reach[0]), max(interval[1], value + reach[1])
        if (low, high) != interval:
            method = "rare_changes"
        if high - low <= _NO_WIDTH * max(1.0, abs(value)):
            low = high = None
    return Estimate(
        value=value,
        low=low,
        high=high,
        level=None if low is None else extent.level,
        n=extent.n,
        resampled=resampled_unit(extent.n, extent.num_units),
        num_units=extent.num_units,
        method=method,
    )

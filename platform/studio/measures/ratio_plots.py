"""Forests of ratios: 2 is as far from 1 as 0.5 is, and one wide interval hides no other."""

import math
from collections.abc import Sequence
from dataclasses import replace

from studio.measures.plots import JsonObject, Point, Series, forest

MIN_SPREAD = 3.0
"""The largest number over the smallest; below it a logarithmic axis looks like a linear one."""
WIDE_SPREAD = 30.0
_MARGIN = 1.1


def ratio_forest(rows: Sequence[str], series: Sequence[Series], *, x_title: str) -> JsonObject:
    """Ratios with intervals and a line at 1; a logarithmic axis where they lie far apart.

    An interval that reaches down to 0 ends at the edge of such an axis.
    """
    points = [point for one in series for point in one.points if point.value is not None]
    numbers = [x for point in points for x in (point.value, point.low, point.high) if x]
    low, high = min([1.0, *numbers]) / _MARGIN, max([1.0, *numbers]) * _MARGIN
    if any(point.value == 0 for point in points) or high < MIN_SPREAD * low:
        return forest(rows, series, x_title=x_title, lines=[1.0])
    cut = [replace(one, points=[_cut(point, low) for point in one.points]) for one in series]
    figure = forest(rows, cut, x_title=x_title, lines=[1.0])
    layout = figure["layout"]
    assert isinstance(layout, dict)  # noqa: S101 (made by `forest`)
    layout["xaxis"] |= _logarithmic(low, high)
    return figure


def _cut(point: Point, edge: float) -> Point:
    """Beyond the edge no end of the bar is seen."""
    return replace(point, low=edge / 10) if point.low == 0 else point


def _logarithmic(low: float, high: float) -> JsonObject:
    # Plotly would label the steps within a decade by their first digit alone.
    steps = (1.0, 2.0, 5.0) if high > WIDE_SPREAD * low else (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [round(step * 10.0**decade, 6) for decade in decades for step in steps]
    return {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }

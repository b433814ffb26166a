"""Plotly figures from plain numbers. Names come from people and models, so they are escaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from pipeline.contracts.estimates import Estimate
from studio.measures.numbers import is_one_sided

JsonObject = dict[str, object]
MAX_TICK, MAX_LEGEND = 26, 60
"""Characters of a name beside an axis, and in the legend."""
MARKS = ("circle", "square", "diamond", "triangle-up", "x", "star", "cross")
"""For lines that a colour alone would not tell apart: there are six colours."""
# Above the plot: below it, the legend meets slanted tick labels on narrow screens.
_LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
_LINE = {"color": "rgba(127,127,127,0.9)", "width": 1, "dash": "dash"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """An estimate with its interval; None is not drawn."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, estimate: Estimate | None, *, scale: float = 1.0) -> "Point":
        """The estimate, times `scale`."""
        if estimate is None:
            return cls(value=None)
        low, high = (
            None if bound is None else scale * bound for bound in (estimate.low, estimate.high)
        )
        return cls(value=scale * estimate.value, low=low, high=high)

    @classmethod
    def of_ratio(cls, estimate: Estimate | None) -> "Point":
        """The ratio; without an interval where the stored one is none."""
        if estimate is not None and is_one_sided(estimate):
            return cls(value=estimate.value)
        return cls.of(estimate)


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """Points of one colour, one for each row of the chart."""

    name: str
    points: Sequence[Point]
    symbol: str = "circle"


def plot_text(text: str, max_length: int = MAX_LEGEND) -> str:
    """`text` as Plotly shows it literally: it would read tags and entities in labels as HTML."""
    if len(text) > max_length:
        text = text[: max_length - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return escape(text, quote=False)


def forest(
    rows: Sequence[str], series: Sequence[Series], *, x_title: str, lines: Sequence[float] = ()
) -> JsonObject:
    """Estimates with intervals, one row each, first row on top; dashed lines at `lines`."""
    spread = 0.5 / max(len(series), 1)
    traces = []
    for index, one in enumerate(series):
        offset = spread * (index - (len(series) - 1) / 2)
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": plot_text(one.name),
                "x": [point.value for point in one.points],
                "y": [row + offset for row in range(len(rows))],
                "marker": {"size": 10, "symbol": one.symbol},
                "error_x": _error_bars(one.points),
                "hoverinfo": "x+name",
            }
        )
    return {
        "data": traces,
        "layout": {
            "xaxis": {"title": {"text": x_title}, "zeroline": False},
            "yaxis": _row_axis(rows),
            "shapes": [_vertical(line) for line in lines],
            "legend": _LEGEND,
            "showlegend": len(series) > 1,
        },
    }


def bars(
    groups: Sequence[str], series: Sequence[Series], *, y_title: str, line: float | None = None
) -> JsonObject:
    """Bars beside each other in each group, with intervals."""
    traces = [
        {
            "type": "bar",
            "name": plot_text(one.name),
            "x": list(range(len(groups))),
            "y": [point.value for point in one.points],
            "error_y": _error_bars(one.points),
            "hoverinfo": "y+name",
        }
        for one in series
    ]
    shapes = []
    if line is not None:
        shapes.append(
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": line, "y1": line}
            | {"line": _LINE}
        )
    return {
        "data": traces,
        "layout": {
            "barmode": "group",
            "xaxis": {"tickvals": list(range(len(groups))), "ticktext": _texts(groups)},
            "yaxis": {"title": {"text": y_title}, "rangemode": "tozero"},
            "shapes": shapes,
            "legend": _LEGEND,
            "showlegend": len(series) > 1,
        },
    }


def lines(series: Sequence[Series], *, x_title: str, y_title: str, first_x: int) -> JsonObject:
    """One line for each series over consecutive whole numbers."""
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": plot_text(one.name),
                "x": [first_x + step for step in range(len(one.points))],
                "y": [point.value for point in one.points],
                "marker": {"size": 8, "symbol": one.symbol},
                "hoverinfo": "x+y+name",
            }
            for one in series
        ],
        "layout": {
            "xaxis": {"title": {"text": x_title}, "dtick": 1},
            "yaxis": {"title": {"text": y_title}, "rangemode": "tozero"},
            "legend": _LEGEND,
            "showlegend": True,
        },
    }


def size_for(num_rows: int) -> Literal["normal", "tall"]:
    """`Chart.size` that leaves each row of a forest enough room."""
    return "tall" if num_rows > 8 else "normal"


def _error_bars(points: Sequence[Point]) -> JsonObject:
    """No bars where no interval is known: even one of length 0 would be drawn."""
    above: list[float | None] = []
    below: list[float | None] = []
    for point in points:
        if point.value is None or point.low is None or point.high is None:
            above.append(None)
            below.append(None)
        else:
            above.append(point.high - point.value)
            below.append(point.value - point.low)
    return {
        "type": "data",
        "symmetric": False,
        "array": above,
        "arrayminus": below,
        "visible": any(length is not None for length in above),
    }


def _row_axis(rows: Sequence[str]) -> JsonObject:
    # Numbers with texts beside them: names may repeat, and Plotly would merge equal categories.
    return {
        "tickvals": list(range(len(rows))),
        "ticktext": _texts(rows),
        "range": [len(rows) - 0.5, -0.5],
        "zeroline": False,
    }


def _texts(names: Sequence[str]) -> list[str]:
    return [plot_text(name, MAX_TICK) for name in names]


def _vertical(x: float) -> JsonObject:
    return {"type": "line", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": _LINE}

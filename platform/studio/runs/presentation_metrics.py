"""The curves of a run: a chart of at most `MAX_POINTS` points a line, and a shorter table."""

from collections.abc import Sequence
from html import escape
from typing import TypeVar

from django.db.models import F, Window
from django.db.models.functions import Mod, RowNumber
from django.utils.translation import gettext as _

from studio.pages.charts import Chart
from studio.runs.models import Run, RunEvent

MAX_POINTS = 2_000
MAX_EVENTS = 10 * MAX_POINTS
MAX_TABLE_ROWS = 50
MAX_LINES = 6
T = TypeVar("T")
Curves = dict[str, list[tuple[int, float]]]


def run_curves(run: Run, *, num_events: int) -> Curves:
    """(step, value) points of each metric, in step order; the newest attempt wins a step.

    Reads at most `MAX_EVENTS` events; a run that logged more is sampled evenly by the database.
    """
    events = RunEvent.objects.filter(run=run, kind="MetricsLogged").order_by("attempt", "seq")
    stride = -(-num_events // MAX_EVENTS)
    if stride > 1:
        position = Window(RowNumber(), order_by=(F("attempt"), F("seq")))
        events = events.annotate(position=position).annotate(rest=Mod(F("position"), stride))
        events = events.filter(rest=0)
    points: dict[str, dict[int, float]] = {}
    for payload in events.values_list("payload", flat=True):
        if payload["step"] is None:
            continue
        for name, value in payload["metrics"].items():
            points.setdefault(name, {})[payload["step"]] = value
    return {name: sorted(steps.items()) for name, steps in points.items()}


def metrics_chart(curves: Curves, chosen: Sequence[str], *, is_terminal: bool) -> Chart:
    """The chosen metrics over steps, beside their newest values."""
    names = [name for name in chosen if name in curves][:MAX_LINES]
    lines = {name: evenly(curves[name], MAX_POINTS) for name in names}
    values = {name: dict(curves[name]) for name in names}
    steps = sorted({step for name in names for step, _value in lines[name]})
    shown = evenly(steps, MAX_TABLE_ROWS)[::-1]
    empty = (
        _("This run logged no figures by step.")
        if is_terminal
        else _("No step has been logged yet; the first figures come with the first steps.")
    )
    return Chart(
        key="metrics",
        title=_("Figures by step"),
        figure={
            "data": [
                {
                    "type": "scatter",
                    "mode": "lines" if len(points) > 1 else "markers",
                    # Plotly reads tags in labels; the child chose this name.
                    "name": escape(name, quote=False),
                    "x": [step for step, _value in points],
                    "y": [value for _step, value in points],
                }
                for name, points in lines.items()
            ],
            "layout": {"xaxis": {"title": {"text": _("step")}}, "showlegend": True},
        },
        columns=[_("step"), *names],
        rows=[[step, *(_number(values[name].get(step)) for name in names)] for step in shown],
        note=_("The table shows %(num)d of %(total)d steps, evenly spread, newest first.")
        % {"num": len(shown), "total": len(steps)}
        if len(shown) < len(steps)
        else "",
        empty=empty,
    )


def default_metrics(names: Sequence[str]) -> list[str]:
    """The losses; without any, the first metric."""
    losses = [name for name in names if "loss" in name]
    return losses[:MAX_LINES] or list(names[:1])


def evenly(items: Sequence[T], limit: int) -> Sequence[T]:
    """At most `limit` items with the first and the last among them, evenly spread."""
    if len(items) <= limit:
        return items
    return [items[round(index * (len(items) - 1) / (limit - 1))] for index in range(limit)]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"

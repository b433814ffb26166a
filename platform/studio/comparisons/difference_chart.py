"""The chart of all differences to the baseline."""

from collections.abc import Mapping, Sequence

from django.utils.html import format_html
from django.utils.translation import gettext as _

from studio.comparisons.chosen import Comparison
from studio.comparisons.family import Family
from studio.comparisons.summary import Cell, MeasureRow
from studio.measures.labels import ShownMeasure
from studio.measures.plots import Point, Series, forest
from studio.pages.charts import Chart


def difference_chart(
    comparison: Comparison, groups: Mapping[str, Sequence[MeasureRow]], family: Family
) -> Chart:
    """Differences with intervals, of measures on one scale; tokens and bits have others."""
    rows = [
        row
        for group in groups.values()
        for row in group
        if row.measure.unit in ("points", "percent")
    ]
    series = [
        Series(
            name=one.label,
            points=[
                cell.point if isinstance(cell := row.cells[index], Cell) else Point(value=None)
                for row in rows
            ],
            symbol=("circle", "square", "diamond", "cross", "triangle-up")[index],
        )
        for index, one in enumerate(comparison.candidates)
    ]
    table = [
        (
            row.measure.label,
            f"{cell.letter} {one.label}",
            _in_one_line(f"{cell.difference} {cell.interval} {cell.few_units}".strip()),
            _in_one_line(f"{cell.status.symbol} {cell.status.label}"),
            _in_one_line(cell.size),
        )
        for row in rows
        for cell, one in zip(row.cells, comparison.candidates, strict=True)
        if isinstance(cell, Cell)
    ]
    return Chart(
        key="differences",
        title=_("Difference to %(baseline)s") % {"baseline": comparison.baseline.label},
        figure=forest(
            [f"{row.measure.label}{_arrow(row.measure)}" for row in rows],
            series,
            x_title=_("points or percentage points"),
            lines=[0.0],
        ),
        columns=(
            _("Measure"),
            _("Checkpoint"),
            _("Difference [simultaneous CI]"),
            _("Word"),
            _("n / units drawn"),
        ),
        rows=table,
        note=_(
            "An arrow down marks measures where lower is better. Each interval of a judged measure "
            "is a %(level)s interval, so that all %(number)s hold together at 95%%; an interval "
            "across 0 does not show that there is no difference."
        )
        % {"level": family.level, "number": family.num_tests},
        empty=_("No question was answered by both sides."),
        size="tall",
    )


def _in_one_line(text: str) -> str:
    """Chinese may break after any character, which a narrow column would make use of."""
    return format_html('<span class="nowrap">{}</span>', text)


def _arrow(measure: ShownMeasure) -> str:
    return " \N{DOWNWARDS ARROW}" if measure.direction == "lower" else ""

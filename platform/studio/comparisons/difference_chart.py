"""The chart of all differences to the baseline."""

from collections.abc import Mapping, Sequence

from django.utils.translation import gettext as _

from studio.comparisons.chosen import Comparison
from studio.comparisons.summary import Cell, MeasureRow
from studio.measures.labels import ShownMeasure
from studio.measures.plots import Point, Series, forest
from studio.pages.charts import Chart


def difference_chart(comparison: Comparison, groups: Mapping[str, Sequence[MeasureRow]]) -> Chart:
    """Differences with intervals; tokens are left out, for their scale is another."""
    rows = [row for group in groups.values() for row in group if row.measure.unit != "tokens"]
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
            f"{cell.difference} {cell.interval}",
            cell.n,
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
        columns=(_("Measure"), _("Checkpoint"), _("Difference [95% CI]"), "n"),
        rows=table,
        note=_(
            "An interval across 0 shows no difference. An arrow down marks measures where lower is "
            "better. Intervals are for one measure at a time."
        ),
        empty=_("No question was answered by both sides."),
        size="tall",
    )


def _arrow(measure: ShownMeasure) -> str:
    return " \N{DOWNWARDS ARROW}" if measure.direction == "lower" else ""

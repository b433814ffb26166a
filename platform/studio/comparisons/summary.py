"""The summary of a comparison: every measure of every checkpoint against the baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pipeline.metrics.noninferiority import MIN_UNITS
from studio.comparisons.chosen import Comparison
from studio.evaluations.formats import (
    bounds,
    decimal,
    difference,
    measured,
    measured_interval,
    percent,
)
from studio.evaluations.links import compare_rows_url
from studio.evaluations.measures import MEASURES, TASK_LABELS, Measure, item_measures
from studio.evaluations.plots import Point, Series, forest
from studio.evaluations.results import Evaluation
from studio.evaluations.sample_files import Task
from studio.evaluations.stored_figures import PairKey, StoredFigures
from studio.pages.charts import Chart

Stored = Mapping[PairKey, StoredFigures]
HEADLINES = ("rougeL", "bleu4", "is_correct")


class Status(StrEnum):
    """What may be said of a difference; the symbol and the word say it without colour."""

    IMPROVED = "improved"
    REGRESSED = "regressed"
    NO_DIFFERENCE = "no_difference"
    UNDECIDED = "undecided"
    DESCRIBES = "describes"

    @property
    def symbol(self) -> str:
        return {
            Status.IMPROVED: "\N{BLACK UP-POINTING TRIANGLE}",
            Status.REGRESSED: "\N{BLACK DOWN-POINTING TRIANGLE}",
            Status.NO_DIFFERENCE: "=",
            Status.UNDECIDED: "?",
            Status.DESCRIBES: "\N{MIDDLE DOT}",
        }[self]

    @property
    def label(self) -> Promise:
        return {
            Status.IMPROVED: gettext_lazy("better"),
            Status.REGRESSED: gettext_lazy("worse"),
            Status.NO_DIFFERENCE: gettext_lazy("no difference seen"),
            Status.UNDECIDED: gettext_lazy("not decided"),
            Status.DESCRIBES: gettext_lazy("describes"),
        }[self]

    @property
    def tone(self) -> str:
        tones = {Status.IMPROVED: "success", Status.REGRESSED: "danger"}
        return tones.get(self, "warning" if self is Status.UNDECIDED else "secondary")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One measure of one candidate beside the baseline."""

    letter: str
    value: str
    difference: str
    interval: str
    n: int
    counts: Sequence[int] | None
    """Improved, regressed, tied; None where a single item has no score."""
    missing: int
    status: Status
    reason: str
    """Why nothing is decided."""
    rows_url: str
    point: Point
    """Difference in the measure's shown unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureRow:
    """One measure over all evaluations; cells in the candidates' order, None while unknown."""

    measure: Measure
    baseline: str
    cells: Sequence[Cell | None]


def summary_rows(
    comparison: Comparison, stored: Stored, undecidable: set[Task]
) -> dict[str, list[MeasureRow]]:
    """The rows by task label; tasks that no pair shares are left out."""
    groups: dict[str, list[MeasureRow]] = {}
    for measure in MEASURES.values():
        figures = [
            stored[comparison.baseline.id, one.id].figure(measure.task, "measures", measure.key)
            for one in comparison.candidates
        ]
        known = next((figure for figure in figures if figure is not None), None)
        if known is None:
            continue
        cells = [
            _cell(comparison, one, measure, figure, measure.task in undecidable)
            if figure is not None
            else None
            for one, figure in zip(comparison.candidates, figures, strict=True)
        ]
        row = MeasureRow(
            measure=measure, baseline=measured(measure, known["baseline"]), cells=cells
        )
        groups.setdefault(str(TASK_LABELS[measure.task]), []).append(row)
    return groups


def conclusions(
    comparison: Comparison, groups: Mapping[str, Sequence[MeasureRow]]
) -> list[tuple[str, list[tuple[Measure, Cell]]]]:
    """For each candidate its name and the headline measures."""
    rows = [row for group in groups.values() for row in group if row.measure.key in HEADLINES]
    return [
        (one.label, [(row.measure, cell) for row in rows if (cell := row.cells[index]) is not None])
        for index, one in enumerate(comparison.candidates)
    ]


def retention_verdict(baseline: Evaluation, one: Evaluation) -> Mapping[str, Any] | None:
    """The report's own retention, if it was measured against this baseline."""
    named = (one.run.spec.get("baseline") or {}).get("digest")
    if baseline.samples is None or named != baseline.samples.digest:
        return None
    verdict: Mapping[str, Any] | None = one.figure("retention.accuracy")
    return verdict


def difference_chart(comparison: Comparison, groups: Mapping[str, Sequence[MeasureRow]]) -> Chart:
    """Differences with intervals; tokens are left out, for their scale is another."""
    rows = [row for group in groups.values() for row in group if row.measure.unit != "tokens"]
    series = [
        Series(
            name=one.label,
            points=[
                cell.point if (cell := row.cells[index]) is not None else Point(value=None)
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
        if cell is not None
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


def gauge_rows(comparison: Comparison) -> list[tuple[object, list[str]]]:
    """(label, one value for each evaluation) of figures that have no rows to pair."""
    names = {
        "gauge.bits_per_byte": _("Bits per byte of the base's text"),
        "gauge.kl_nats_per_token": _("KL from the base, nats per token"),
    }
    return [
        (label, [decimal(one.figure(name), 4) for one in comparison.evaluations])
        for name, label in names.items()
        if any(one.figure(name) is not None for one in comparison.evaluations)
    ]


def _cell(
    comparison: Comparison,
    one: Evaluation,
    measure: Measure,
    figure: Mapping[str, Any],
    is_undecidable: bool,
) -> Cell:
    low, high = bounds(figure["difference_interval"])
    status, reason = judge_difference(measure, figure, is_undecidable=is_undecidable)
    has_counts = not measure.is_corpus_figure
    choices = {"task": measure.task, "with": one.id}
    if measure in item_measures(measure.task):
        choices["metric"] = measure.key
    scale = measure.scale
    return Cell(
        letter=comparison.letters[one.id],
        value=measured(measure, figure["candidate"]),
        difference=difference(measure, figure["difference"]),
        interval=measured_interval(measure, low, high),
        n=figure["n"],
        counts=((figure["improved"], figure["regressed"], figure["tied"]) if has_counts else None),
        missing=figure["missing"],
        status=status,
        reason=reason,
        rows_url=compare_rows_url(comparison.evaluations, **choices),
        point=Point(
            value=scale * figure["difference"],
            low=None if low is None else scale * low,
            high=None if high is None else scale * high,
        ),
    )


def judge_difference(
    measure: Measure, figure: Mapping[str, Any], *, is_undecidable: bool
) -> tuple[Status, str]:
    """What may be said, and why not more. Missing items never help a candidate."""
    if measure.direction == "neutral":
        return Status.DESCRIBES, ""
    if is_undecidable:
        return Status.UNDECIDED, _("the results are not comparable")
    low, high = bounds(figure["difference_interval"])
    if low is None or high is None or figure["num_units"] < MIN_UNITS:
        return Status.UNDECIDED, _("%(n)s units are too few, %(min)s are needed") % {
            "n": figure["num_units"],
            "min": MIN_UNITS,
        }
    if measure.direction == "lower":
        low, high = -high, -low
    if high < 0:
        return Status.REGRESSED, ""
    if figure["missing"]:
        return Status.UNDECIDED, _("%(n)s missing") % {"n": figure["missing"]}
    return (Status.IMPROVED if low > 0 else Status.NO_DIFFERENCE), ""


def margin_text(retention: Mapping[str, Any]) -> str:
    """The margin as a share."""
    return percent(retention["margin"])


def _arrow(measure: Measure) -> str:
    return " \N{DOWNWARDS ARROW}" if measure.direction == "lower" else ""

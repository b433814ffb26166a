"""The summary of a comparison: every measure of every checkpoint against the baseline."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from pipeline.contracts.estimates import PairedFigure
from pipeline.contracts.evaluation_results import GaugeResults, RetentionResults
from pipeline.contracts.samples import Task
from studio.comparisons.chosen import Comparison
from studio.comparisons.statuses import Status, judge_difference
from studio.evaluations.links import compare_rows_url
from studio.evaluations.results import Evaluation
from studio.evaluations.retained import retention_of
from studio.evaluations.stored_figures import StoredPairs
from studio.measures.labels import TASK_LABELS, ShownMeasure, item_measures, set_measures
from studio.measures.numbers import NONE, decimal, difference, measured, measured_interval
from studio.measures.plots import Point
from studio.measures.resampling import TaskPair


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
class Blank:
    """No figure of a candidate, and why."""

    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureRow:
    """One measure over all evaluations; cells in the candidates' order."""

    measure: ShownMeasure
    baseline: str
    cells: Sequence[Cell | Blank]


def summary_rows(
    comparison: Comparison, stored: StoredPairs, undecidable: set[Task]
) -> dict[str, list[MeasureRow]]:
    """The rows by task label; tasks that no pair shares are left out."""
    groups: dict[str, list[MeasureRow]] = {}
    for measure in set_measures():
        pairs = [_task_pair(comparison, one, measure.task, stored) for one in comparison.candidates]
        if not any(pair is not None and pair.num_paired for pair in pairs):
            continue
        known = [
            figure.baseline
            for pair in pairs
            if pair is not None and (figure := pair.measures.get(measure.key)) is not None
        ]
        row = MeasureRow(
            measure=measure,
            baseline=measured(measure, next(iter(known), None)),
            cells=[
                _cell(comparison, one, measure, pair, measure.task in undecidable)
                for one, pair in zip(comparison.candidates, pairs, strict=True)
            ],
        )
        groups.setdefault(str(TASK_LABELS[measure.task]), []).append(row)
    return groups


def conclusions(
    comparison: Comparison, groups: Mapping[str, Sequence[MeasureRow]]
) -> list[tuple[str, list[tuple[ShownMeasure, Cell]]]]:
    """For each candidate its name and the headline measures."""
    rows = [row for group in groups.values() for row in group if row.measure.words.is_headline]
    return [
        (
            one.label,
            [(row.measure, cell) for row in rows if isinstance(cell := row.cells[index], Cell)],
        )
        for index, one in enumerate(comparison.candidates)
    ]


def retention_verdict(baseline: Evaluation, one: Evaluation) -> RetentionResults | None:
    """The report's own retention, if it was measured against this baseline."""
    if baseline.samples is None or one.baseline_digest != baseline.samples.digest:
        return None
    return retention_of(one, "accuracy")


def gauge_rows(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """(label, one value for each evaluation) of figures that have no rows to pair."""
    gauges = [one.results.gauge for one in comparison.evaluations]
    if not any(gauges):
        return []

    def values(read: Callable[[GaugeResults], float]) -> list[str]:
        return [decimal(None if gauge is None else read(gauge), 4) for gauge in gauges]

    return [
        (_("Bits per byte of the base's text"), values(lambda gauge: gauge.bits_per_byte)),
        (_("KL from the base, nats per token"), values(lambda gauge: gauge.kl_nats_per_token)),
    ]


def _task_pair(
    comparison: Comparison, one: Evaluation, task: Task, stored: StoredPairs
) -> TaskPair | None:
    figures = stored[comparison.baseline.id, one.id].figures
    return None if figures is None else figures.tasks.get(task)


def _cell(
    comparison: Comparison,
    one: Evaluation,
    measure: ShownMeasure,
    pair: TaskPair | None,
    is_undecidable: bool,
) -> Cell | Blank:
    if pair is None or not pair.num_paired:
        return Blank(reason=_("no shared question, or being computed"))
    figure = pair.measures.get(measure.key)
    if figure is None:
        return Blank(reason=NONE)
    status, reason = judge_difference(measure, figure, is_undecidable=is_undecidable)
    choices = {"task": measure.task, "with": one.id}
    if measure in item_measures(measure.task):
        choices["metric"] = measure.key
    return Cell(
        letter=comparison.letters[one.id],
        value=measured(measure, figure.candidate),
        difference=difference(measure, figure.difference.value),
        interval=measured_interval(measure, figure.difference),
        n=figure.n,
        counts=_counts(figure),
        missing=figure.missing,
        status=status,
        reason=reason,
        rows_url=compare_rows_url(comparison.evaluations, **choices),
        point=Point.of(figure.difference, scale=measure.scale),
    )


def _counts(figure: PairedFigure) -> tuple[int, int, int] | None:
    if figure.improved is None or figure.regressed is None or figure.tied is None:
        return None
    return figure.improved, figure.regressed, figure.tied

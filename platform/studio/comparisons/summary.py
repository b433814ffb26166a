"""The summary of a comparison: every measure of every checkpoint against the baseline."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from pipeline.contracts.estimates import PairedFigure
from pipeline.contracts.evaluation_results import RetentionResults
from pipeline.contracts.gauge_results import GaugeResults
from pipeline.contracts.samples import Task
from pipeline.metrics.decisions import Decision
from studio.comparisons.chosen import Comparison
from studio.comparisons.family import Family
from studio.evaluations.judged_gauges import judged_gauge
from studio.evaluations.links import compare_rows_url
from studio.evaluations.results import Evaluation
from studio.evaluations.retained import retention_of
from studio.evaluations.stored_figures import StoredPairs
from studio.measures.judgements import DESCRIBES, Judgement, judgement_of, not_judged
from studio.measures.labels import TASK_LABELS, ShownMeasure, item_measures, set_measures
from studio.measures.numbers import (
    NONE,
    decimal,
    difference,
    few_units,
    measured,
    measured_bounds,
    sample_size,
)
from studio.measures.plots import Point
from studio.measures.resampling import TaskPair


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One measure of one candidate beside the baseline."""

    letter: str
    value: str
    difference: str
    interval: str
    """The one that the word rests on: it holds together with all others of the family. Of a measure
    that is not judged, the 95% interval by itself."""
    single_interval: str
    """95%, of this measure by itself; empty where it is the same."""
    margin: str
    """Empty where none was fixed."""
    n: int
    num_units: int
    few_units: str
    """The mark of an interval that rests on few units; else empty."""
    counts: Sequence[int] | None
    """Improved, regressed, tied; None where a single item has no score."""
    missing: int
    status: Judgement
    rows_url: str
    size: str
    """Questions, and the units drawn of them."""
    point: Point
    """Difference in the measure's shown unit, with the interval that the word rests on."""


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
    comparison: Comparison, stored: StoredPairs, family: Family, undecidable: set[Task]
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
                _cell(comparison, one, measure, pair, family, measure.task not in undecidable)
                for one, pair in zip(comparison.candidates, pairs, strict=True)
            ],
        )
        groups.setdefault(str(TASK_LABELS[measure.task]), []).append(row)
    return groups


def conclusions(
    comparison: Comparison, groups: Mapping[str, Sequence[MeasureRow]]
) -> list[tuple[str, list[tuple[ShownMeasure, Cell]]]]:
    """For each candidate its name, every regression, then the other headline measures."""
    rows = [row for group in groups.values() for row in group]
    found = []
    for index, one in enumerate(comparison.candidates):
        cells = [
            (row.measure, cell)
            for row in rows
            if isinstance(cell := row.cells[index], Cell)
            and (row.measure.words.is_headline or cell.status.rank < 2)
        ]
        found.append((one.label, sorted(cells, key=lambda pair: pair[1].status.rank)))
    return found


def retention_verdict(baseline: Evaluation, one: Evaluation) -> RetentionResults | None:
    """The report's own retention, if it was measured against this baseline."""
    if baseline.samples is None or one.baseline_digest != baseline.samples.digest:
        return None
    return retention_of(one, "accuracy")


def judged_against(baseline: Evaluation, candidates: Sequence[Evaluation]) -> list[Evaluation]:
    """The candidates whose divergence is one from this baseline: it is their base itself."""
    return [
        one
        for one in candidates
        if baseline.is_of_base and one.report.inputs.get("base") == baseline.model_digest
    ]


def gauge_rows(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """(label, one value for each evaluation) of figures that have no rows to pair."""
    gauges = [one.results.gauge for one in comparison.evaluations]
    if not any(gauges):
        return []

    def values(read: Callable[[GaugeResults], float]) -> list[str]:
        return [decimal(None if gauge is None else read(gauge), 4) for gauge in gauges]

    judged = [judged_gauge(one) for one in comparison.evaluations]
    rows = []
    if any(judged):
        rows = [
            (
                _("KL from its base, bits per byte [95% CI]"),
                [NONE if one is None else f"{one.divergence} {one.interval}" for one in judged],
            ),
            (
                _("Kept of its base"),
                [
                    NONE
                    if one is None or one.evaluation.is_of_base
                    else _("%(verdict)s at a margin of %(margin)s: %(reason)s")
                    % {
                        "verdict": one.verdict_label,
                        "margin": one.margin,
                        "reason": one.sentence,
                    }
                    for one in judged
                ],
            ),
        ]
    return [
        *rows,
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
    family: Family,
    is_comparable: bool,
) -> Cell | Blank:
    if pair is None or not pair.num_paired:
        return Blank(reason=_("no shared question, or being computed"))
    figure = pair.measures.get(measure.key)
    if figure is None:
        return Blank(reason=NONE)
    choices = {"task": measure.task, "with": one.id}
    if measure in item_measures(measure.task):
        choices["metric"] = measure.key
    decision = family.decisions.get((one.id, measure.key))
    margin = family.margins.get((one.id, measure.key))
    single = figure.difference
    alone = ""
    if single.low is not None and single.high is not None:
        alone = measured_bounds(measure, single.low, single.high)
    shown, point = alone, Point.of(single, scale=measure.scale)
    if decision is not None and decision.low is not None and decision.high is not None:
        shown = measured_bounds(
            measure, decision.low, decision.high, is_open_at_zero=decision.is_open_at_zero
        )
        point = Point(
            value=point.value,
            low=measure.scale * decision.low,
            high=measure.scale * decision.high,
        )
    return Cell(
        letter=comparison.letters[one.id],
        value=measured(measure, figure.candidate),
        difference=difference(measure, figure.difference.value),
        interval=shown,
        single_interval="" if decision is None else alone,
        margin="" if margin is None else measured(measure, margin),
        n=figure.n,
        num_units=figure.num_units,
        few_units=few_units(figure.num_units),
        counts=_counts(figure),
        missing=figure.missing,
        status=_judgement(measure, figure, decision, margin, is_comparable),
        rows_url=compare_rows_url(comparison.evaluations, **choices),
        size=sample_size(figure.difference),
        point=point,
    )


def _judgement(
    measure: ShownMeasure,
    figure: PairedFigure,
    decision: Decision | None,
    margin: float | None,
    is_comparable: bool,
) -> Judgement:
    if measure.direction == "neutral":
        return DESCRIBES
    if decision is None:
        return not_judged(is_comparable=is_comparable)
    return judgement_of(decision, figure, margin=margin)


def _counts(figure: PairedFigure) -> tuple[int, int, int] | None:
    if figure.improved is None or figure.regressed is None or figure.tied is None:
        return None
    return figure.improved, figure.regressed, figure.tied

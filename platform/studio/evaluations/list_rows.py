"""One result in one row of a list: the few figures by which it is known."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from pipeline.contracts.evaluation_results import RetentionResults
from studio.evaluations.arms import arm_label, is_lossless, prompts_by_repeats
from studio.evaluations.judged_gauges import JudgedGauge, judged_gauges
from studio.evaluations.results import Benchmark, Evaluation
from studio.evaluations.retained import Retained
from studio.measures.labels import ShownMeasure, headline_measures
from studio.measures.numbers import (
    NONE,
    decimal,
    measured,
    ratio,
    ratio_estimate,
    ratio_interval,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadlineFigure:
    """One figure and the number of items behind it; a dash and None where it was not measured."""

    text: str
    n: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRow:
    """An evaluation; cells are a dash or empty where the run did not measure the figure."""

    evaluation: Evaluation
    gauge: JudgedGauge | None
    """The primary verdict on what was kept; None for the base itself."""
    retained: Retained | None
    """The second witness: questions."""
    retention: str
    figures: Sequence[HeadlineFigure]
    """In the order of `headline_measures`."""
    bits_per_byte: str

    @property
    def kept(self) -> str:
        """The primary verdict with its figure; of results without one what the questions say."""
        if self.gauge is None:
            return self.retention
        return _("%(verdict)s: %(value)s bits per byte from the base") % {
            "verdict": self.gauge.verdict_label,
            "value": f"{self.gauge.divergence} {self.gauge.interval}".strip(),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkRow:
    """A decoding benchmark by the arm that it was made for."""

    benchmark: Benchmark
    arm: str
    speedup: str
    n: str
    is_lossless: bool | None


def evaluation_row(evaluation: Evaluation) -> EvaluationRow:
    """The figures of the run's report."""
    results = evaluation.results
    retention = None if results.retention is None else results.retention.accuracy
    return EvaluationRow(
        evaluation=evaluation,
        gauge=next(iter(judged_gauges([evaluation])), None),
        retained=(
            Retained(evaluation=evaluation, baseline=None, retention=retention)
            if retention is not None
            else None
        ),
        retention="" if retention is None else _kept(retention),
        figures=[_figure(evaluation, measure) for measure in headline_measures()],
        bits_per_byte=decimal(None if results.gauge is None else results.gauge.bits_per_byte, 3),
    )


def benchmark_row(benchmark: Benchmark) -> BenchmarkRow:
    """The headline arm of the run's report."""
    results = benchmark.results
    arm = results.arms.get(results.headline_arm)
    return BenchmarkRow(
        benchmark=benchmark,
        arm=arm_label(results.headline_arm),
        speedup=NONE if arm is None else ratio_estimate(arm.speedup, digits=2),
        n=NONE if arm is None else prompts_by_repeats(benchmark, arm),
        is_lossless=is_lossless(benchmark),
    )


def _kept(retention: RetentionResults) -> str:
    """The chance-adjusted ratio, or the raw one where the base is too near chance for it."""
    adjusted, raw = retention.macro.adjusted_ratio, retention.micro.ratio
    if adjusted is not None:
        return ratio_estimate(adjusted)
    return _("raw %(ratio)s %(interval)s") % {
        "ratio": ratio(None if raw is None else raw.value),
        "interval": ratio_interval(raw),
    }


def _figure(evaluation: Evaluation, measure: ShownMeasure) -> HeadlineFigure:
    found = evaluation.measured(measure.task)
    if found is None:
        return HeadlineFigure(text=NONE, n=None)
    return HeadlineFigure(text=measured(measure, found.figures.get(measure.key)), n=found.n)

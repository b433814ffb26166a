"""The chart of the gauge: how well a checkpoint still predicts text that the base wrote."""

from collections.abc import Sequence

from django.utils.translation import gettext as _

from pipeline.contracts.gauge_results import GaugeResults
from studio.evaluations.judged_gauges import bits, judged_gauge
from studio.evaluations.results import Evaluation
from studio.measures.numbers import NONE, count, decimal, interval, ratio_estimate
from studio.measures.plots import Point, Series, forest
from studio.pages.charts import Chart


def gauge_chart(evaluations: Sequence[Evaluation]) -> Chart:
    """Divergence from the base on text the base wrote, with intervals against the margin."""
    measured = [one for one in evaluations if one.results.gauge is not None]
    judged = [one for one in map(judged_gauge, measured) if one is not None]
    return Chart(
        key="gauge",
        title=_("How far each checkpoint moved from the base, on text the base wrote"),
        figure=forest(
            [one.evaluation.label for one in judged],
            [
                Series(
                    name=_("KL(base || model)"),
                    points=[Point.of(one.judged.kl_bits_per_byte) for one in judged],
                )
            ],
            x_title=_("KL(base || model), bits per byte (0 = nothing moved)"),
            lines=sorted({one.judged.margin for one in judged}),
        ),
        columns=(
            _("Checkpoint"),
            _("KL, bits per byte [95% CI]"),
            _("Margin"),
            _("Bits per byte"),
            _("Ratio to the base [95% CI]"),
            _("KL, nats per token"),
            _("Texts / passages drawn"),
            _("Tokens"),
            _("Bytes"),
        ),
        rows=[_row(one, one.results.gauge) for one in measured if one.results.gauge is not None],
        note=_(
            "Lower is better; the base itself has 0. The base continued the beginnings of passages "
            "at temperature 1 with its whole vocabulary; texts of one passage are one unit. The "
            "ratio says the same in other words; the published 99.8% has no published definition "
            "and is not the same measure. Reports without scores of single texts show totals only."
        ),
        empty=_("None of these runs measured the gauge."),
    )


def _row(one: Evaluation, gauge: GaugeResults) -> tuple[object, ...]:
    judged = gauge.judged
    divergence, margin, ratio, size = NONE, NONE, NONE, f"{gauge.num_texts:,} / {NONE}"
    if judged is not None:
        estimate = judged.kl_bits_per_byte
        divergence = f"{bits(estimate.value)} {interval(estimate, digits=4)}".strip()
        margin = decimal(judged.margin, 3)
        ratio = ratio_estimate(judged.bits_per_byte_ratio)
        size = f"{estimate.n:,} / {estimate.num_units:,}"
    return (
        one.label,
        divergence,
        margin,
        decimal(gauge.bits_per_byte, 4),
        ratio,
        decimal(gauge.kl_nats_per_token, 4),
        size,
        count(gauge.num_tokens),
        count(gauge.num_bytes),
    )

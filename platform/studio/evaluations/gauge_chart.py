"""The chart of the gauge: how well a checkpoint still predicts text that the base wrote."""

from collections.abc import Sequence

from django.utils.translation import gettext as _

from studio.evaluations.results import Evaluation
from studio.measures.numbers import count, decimal
from studio.measures.plots import Point, Series, panels
from studio.pages.charts import Chart


def gauge_chart(evaluations: Sequence[Evaluation]) -> Chart:
    """Bits per byte and divergence from the base, on text the base wrote."""
    measured = [
        (one.label, gauge) for one in evaluations if (gauge := one.results.gauge) is not None
    ]
    rows = [
        (
            label,
            decimal(gauge.bits_per_byte, 4),
            decimal(gauge.kl_nats_per_token, 4),
            gauge.num_texts,
            count(gauge.num_tokens),
            count(gauge.num_bytes),
        )
        for label, gauge in measured
    ]
    figure = panels(
        [label for label, _gauge in measured],
        [
            Series(
                name=_("bits per byte"),
                points=[Point(value=gauge.bits_per_byte) for _label, gauge in measured],
            ),
            Series(
                name=_("KL, nats per token"),
                points=[Point(value=gauge.kl_nats_per_token) for _label, gauge in measured],
            ),
        ],
    )
    return Chart(
        key="gauge",
        title=_("How well each checkpoint still predicts text the base wrote"),
        figure=figure,
        columns=(
            _("Checkpoint"),
            _("Bits per byte"),
            _("KL, nats per token"),
            _("Texts"),
            _("Tokens"),
            _("Bytes"),
        ),
        rows=rows,
        note=_(
            "Lower is better for both; KL of the base from itself is 0. Totals over the texts, so "
            "there is no interval. The texts are sampled from the base with frozen prompts."
        ),
        empty=_("None of these runs measured the gauge."),
    )

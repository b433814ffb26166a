"""What speculation gains: predicted and possible beside measured."""

from django.utils.translation import gettext as _

from studio.evaluations.arms import speculative_arms, yes_or_no
from studio.evaluations.results import Benchmark
from studio.measures.numbers import percent, ratio, speedup
from studio.measures.plots import Point, Series, size_for
from studio.measures.ratio_plots import ratio_forest
from studio.pages.charts import Chart


def speedup_chart(benchmark: Benchmark) -> Chart:
    """Measured speedup beside prediction and bound."""
    arms = speculative_arms(benchmark)
    rows = [
        (
            label,
            speedup(arm.speedup),
            speedup(None if arm.prediction is None else arm.prediction.speedup),
            ratio(arm.measured_over_predicted),
            yes_or_no(arm.is_measured_in_interval),
            ratio(arm.oracle_bound),
            percent(arm.fraction_of_oracle_bound, 0),
        )
        for label, arm in arms
    ]
    return Chart(
        key="speedup",
        title=_("Speedup over plain decoding: predicted, measured, possible"),
        figure=ratio_forest(
            [label for label, _arm in arms],
            [
                Series(name=_("Measured"), points=[Point.of(arm.speedup) for _label, arm in arms]),
                Series(
                    name=_("Predicted from acceptance and cost"),
                    points=[
                        Point.of(arm.prediction.speedup)
                        if arm.prediction
                        else Point(value=arm.predicted_speedup)
                        for _label, arm in arms
                    ],
                    symbol="diamond-open",
                ),
                Series(
                    name=_("Oracle bound"),
                    points=[Point(value=arm.oracle_bound) for _label, arm in arms],
                    symbol="line-ns-open",
                ),
            ],
            x_title=_("times as fast as plain decoding"),
        ),
        columns=(
            _("Arm"),
            _("Measured [95% CI]"),
            _("Predicted before timing [95% PI]"),
            _("Measured / predicted"),
            _("Within the predicted interval"),
            _("Oracle bound"),
            _("Share of the bound"),
        ),
        rows=rows,
        note=_(
            "Decode time only, batch 1, median over prompts and repeats; prompts are resampled. "
            "Predicted: tokens per round over its cost, from prompts that are not timed; in "
            "reports from before, from the timed ones and without an interval. Oracle bound: the "
            "same draft and costs if the number of accepted tokens were known before each round."
        ),
        empty=_("The benchmark has no arm besides plain decoding."),
        size=size_for(len(arms)),
    )

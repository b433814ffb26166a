"""On which answers speculation gains."""

from django.utils.translation import gettext as _

from studio.evaluations.arms import prompts_by_repeats, speculative_arms
from studio.evaluations.results import Benchmark
from studio.measures.numbers import count, percent, speedup
from studio.measures.plots import Point, Series, size_for
from studio.measures.ratio_plots import ratio_forest
from studio.pages.charts import Chart


def answers_chart(benchmark: Benchmark) -> Chart:
    """The same speedup on answers that hardly repeat themselves, and with prefill."""
    arms = speculative_arms(benchmark)
    varied = [(label, arm.speedup_without_repetitive_answers) for label, arm in arms]
    rows = [
        (
            label,
            speedup(arm.speedup),
            speedup(of_varied),
            count(None if of_varied is None else of_varied.num_units),
            speedup(arm.end_to_end_speedup),
            prompts_by_repeats(benchmark, arm),
            percent(arm.repeated_4gram_rate),
        )
        for (label, arm), (_label, of_varied) in zip(arms, varied, strict=True)
    ]
    return Chart(
        key="answers",
        title=_("Speedup by kind of answer, and end to end"),
        figure=ratio_forest(
            [label for label, _arm in arms],
            [
                Series(
                    name=_("All answers"), points=[Point.of(arm.speedup) for _label, arm in arms]
                ),
                Series(
                    name=_("Answers without repetition"),
                    points=[Point.of(one) for _label, one in varied],
                    symbol="square-open",
                ),
                Series(
                    name=_("End to end, prefill included"),
                    points=[Point.of(arm.end_to_end_speedup) for _label, arm in arms],
                    symbol="triangle-up-open",
                ),
            ],
            x_title=_("times as fast as plain decoding"),
        ),
        columns=(
            _("Arm"),
            _("All answers [95% CI]"),
            _("Answers without repetition [95% CI]"),
            _("Prompts of these"),
            _("End to end, prefill included [95% CI]"),
            _("Prompts \N{MULTIPLICATION SIGN} repeats"),
            _("Repeated 4-grams"),
        ),
        rows=rows,
        note=_(
            "Repetitive answers are easy to draft. Without repetition: answers of plain decoding "
            "in which fewer than 20% of the 4-grams occurred before."
        ),
        empty=_("The benchmark has no arm besides plain decoding."),
        size=size_for(len(arms)),
    )

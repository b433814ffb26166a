"""The charts of decoding: what speculation gains, what was predicted, and what was possible."""

from django.utils.translation import gettext as _

from studio.evaluations.arms import prediction_words, prompts_by_repeats, speculative_arms
from studio.evaluations.results import Benchmark
from studio.measures.numbers import NONE, decimal, percent, ratio, ratio_estimate
from studio.measures.plots import Point, Series, forest, lines, size_for
from studio.pages.charts import Chart


def speedup_chart(benchmark: Benchmark) -> Chart:
    """Measured speedup beside prediction and bound."""
    arms = speculative_arms(benchmark)
    rows = [
        (
            label,
            ratio_estimate(arm.speedup, digits=2),
            ratio_estimate(arm.prediction.speedup, digits=2) if arm.prediction else NONE,
            NONE if arm.prediction is None else prediction_words(arm.prediction),
            ratio(arm.measured_over_predicted),
            ratio(arm.oracle_bound),
            percent(arm.fraction_of_oracle_bound, 0),
            prompts_by_repeats(benchmark, arm),
            ratio_estimate(arm.speedup_without_repetitive_answers, digits=2),
            percent(arm.repeated_4gram_rate),
        )
        for label, arm in arms
    ]
    return Chart(
        key="speedup",
        title=_("Speedup over plain decoding"),
        figure=forest(
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
            lines=[1.0],
        ),
        columns=(
            _("Arm"),
            _("Measured [95% CI]"),
            _("Predicted before timing [95% PI]"),
            _("What was said before"),
            _("Measured / predicted"),
            _("Oracle bound"),
            _("Share of the bound"),
            _("Prompts \N{MULTIPLICATION SIGN} repeats"),
            _("Without repetitive answers"),
            _("Repeated 4-grams"),
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


def acceptance_chart(benchmark: Benchmark) -> Chart:
    """How far drafts are accepted."""
    accepted = [
        (label, shares)
        for label, arm in speculative_arms(benchmark)
        if (shares := arm.acceptance_per_position)
    ]
    longest = max((len(shares) for _label, shares in accepted), default=0)
    rows = [
        (
            label,
            *(percent(share) for share in shares),
            *[NONE] * (longest - len(shares)),
        )
        for label, shares in accepted
    ]
    return Chart(
        key="acceptance",
        title=_("Share of rounds that accepted each drafted position"),
        figure=lines(
            [
                Series(name=label, points=[Point(value=100 * share) for share in shares])
                for label, shares in accepted
            ],
            x_title=_("drafted position"),
            y_title=_("accepted, %"),
            first_x=1,
        ),
        columns=(_("Arm"), *(str(position) for position in range(1, longest + 1))),
        rows=rows,
        note=_(
            "A position counts as accepted only if all before it were. Shares of the same rounds "
            "that were timed; a round cut off by the end of an answer counts as not accepted."
        ),
        empty=_("No arm drafted a token."),
    )


def cost_chart(benchmark: Benchmark) -> Chart:
    """What a round costs, in plain target steps, and from which acceptance on it pays."""
    timed = [
        (label, arm, costs)
        for label, arm in speculative_arms(benchmark)
        if (costs := arm.costs) is not None
    ]
    rows = [
        (
            label,
            decimal(costs.c, 3),
            " ".join(decimal(value) for value in costs.v[1:]),
            decimal(costs.h, 3),
            percent(arm.break_even_acceptance),
            percent(next(iter(arm.acceptance_per_position or ()), None)),
            NONE if arm.num_speculative_tokens is None else arm.num_speculative_tokens,
        )
        for label, arm, costs in timed
    ]
    return Chart(
        key="costs",
        title=_("Cost of checking a draft, in plain target steps"),
        figure=lines(
            [
                Series(name=label, points=[Point(value=value) for value in costs.v])
                for label, _arm, costs in timed
            ],
            x_title=_("drafted tokens g"),
            y_title=_("v(g), target steps"),
            first_x=0,
        ),
        columns=(
            _("Arm"),
            _("c, one draft step"),
            _("v(1), v(2), ..."),
            _("h, overhead of a round"),
            _("Break-even acceptance"),
            _("Acceptance of the first token"),
            _("Draft length"),
        ),
        rows=rows,
        note=_(
            "A round of g tokens costs g c + v(g) + h; h is what whole rounds took beyond that, "
            "and may be negative. Break-even: c + v(1) - 1, the acceptance above which drafting "
            "one token pays when h is 0; at 100% or more it never does."
        ),
        empty=_("This engine's step costs cannot be measured from outside."),
    )

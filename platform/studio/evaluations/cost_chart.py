"""What a round costs, in plain steps of the target, and from which acceptance on it pays."""

from django.utils.translation import gettext as _

from pipeline.contracts.decoding_results import DecodingCosts
from studio.evaluations.arms import speculative_arms
from studio.evaluations.results import Benchmark
from studio.measures.numbers import NONE, decimal, percent
from studio.measures.plots import MARKS, Point, Series, lines
from studio.pages.charts import Chart


def cost_chart(benchmark: Benchmark) -> Chart:
    """The target's pass over a draft; one line where it was measured once for all arms."""
    timed = [
        (label, arm, costs)
        for label, arm in speculative_arms(benchmark)
        if (costs := arm.costs) is not None
    ]
    rows = [
        (
            label,
            NONE if arm.num_speculative_tokens is None else arm.num_speculative_tokens,
            decimal(costs.c, 3),
            " ".join(decimal(value) for value in costs.v[1:]),
            decimal(costs.h, 3),
            _whole_round(costs, arm.num_speculative_tokens),
            percent(arm.break_even_acceptance),
            percent(next(iter(arm.acceptance_per_position or ()), None)),
        )
        for label, arm, costs in timed
    ]
    passes: dict[tuple[float, ...], list[str]] = {}
    for label, _arm, costs in timed:
        passes.setdefault(costs.v, []).append(label)
    return Chart(
        key="costs",
        title=_("Cost of checking a draft, in plain target steps"),
        figure=lines(
            [
                Series(
                    name=_("all arms") if len(labels) == len(timed) else ", ".join(labels),
                    points=[Point(value=value) for value in v],
                    symbol=MARKS[index % len(MARKS)],
                )
                for index, (v, labels) in enumerate(passes.items())
            ],
            x_title=_("drafted tokens g"),
            y_title=_("v(g), target steps"),
            first_x=0,
        ),
        columns=(
            _("Arm"),
            _("Draft length"),
            _("c, one draft step"),
            _("v(1), v(2), ..."),
            _("h, overhead of a round"),
            _("R, a whole round of that length [quartiles]"),
            _("Break-even acceptance"),
            _("Acceptance of the first token"),
        ),
        rows=rows,
        note=_(
            "A round of g tokens costs g c + v(g) + h; h is what whole rounds took beyond that, "
            "and may be negative. Break-even: c + v(1) - 1, the acceptance above which drafting "
            "one token pays when h is 0; at 100% or more it never does."
        ),
        empty=_("This engine's step costs cannot be measured from outside."),
    )


def _whole_round(costs: DecodingCosts, length: int | None) -> str:
    """Of the rounds with a draft of `length` tokens the kind that occurred most."""
    found = [one for one in costs.rounds if one.num_drafted == length]
    if not found:
        return NONE
    one = max(found, key=lambda kind: kind.num_rounds)
    quartiles = f"[{decimal(one.lower_quartile)}, {decimal(one.upper_quartile)}]"
    return f"{decimal(one.median)} {quartiles}"

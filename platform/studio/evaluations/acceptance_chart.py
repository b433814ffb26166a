"""How far drafts are accepted, and how many tokens a round yields."""

from itertools import accumulate

from django.utils.translation import gettext as _

from studio.evaluations.arms import speculative_arms
from studio.evaluations.results import Benchmark
from studio.measures.numbers import NONE, decimal, percent
from studio.measures.plots import MARKS, Point, Series, lines, size_for
from studio.pages.charts import Chart


def acceptance_chart(benchmark: Benchmark) -> Chart:
    """Acceptance by drafted position, and the tokens of a round that was drafted up to there."""
    accepted = [
        (label, shares)
        for label, arm in speculative_arms(benchmark)
        if (shares := arm.acceptance_per_position)
    ]
    longest = max((len(shares) for _label, shares in accepted), default=0)
    rows = [
        (
            label,
            *(
                f"{percent(share)} ({decimal(tokens)})"
                for share, tokens in zip(
                    shares, list(accumulate(shares, initial=1.0))[1:], strict=True
                )
            ),
            *[NONE] * (longest - len(shares)),
        )
        for label, shares in accepted
    ]
    return Chart(
        key="acceptance",
        title=_("Share of rounds that accepted each drafted position"),
        figure=lines(
            [
                Series(
                    name=label,
                    points=[Point(value=100 * share) for share in shares],
                    symbol=MARKS[index % len(MARKS)],
                )
                for index, (label, shares) in enumerate(accepted)
            ],
            x_title=_("drafted position"),
            y_title=_("accepted, %"),
            first_x=1,
        ),
        columns=(_("Arm"), *(str(position) for position in range(1, longest + 1))),
        rows=rows,
        note=_(
            "In brackets: tokens of a round with a draft up to this position, the target's own "
            "among them. A position counts as accepted only if all before it were. Shares of the "
            "same rounds that were timed; a round cut off by the end of an answer counts as not "
            "accepted."
        ),
        empty=_("No arm drafted a token."),
        size=size_for(len(accepted)),
    )

"""The chart of our ratios beside the published ones."""

from collections.abc import Sequence

from django.utils.translation import gettext as _

from studio.measures.plots import Point, Series
from studio.measures.ratio_plots import ratio_forest
from studio.pages.charts import Chart
from studio.published.claims import ShownClaim


def claims_chart(claims: Sequence[ShownClaim]) -> Chart:
    """Our ratios with intervals beside the published ones; retention is no ratio."""
    claims = [one for one in claims if one.row.claim.is_ratio]
    published = [
        Point(value=(claim.low + claim.high) / 2, low=claim.low, high=claim.high)
        for claim in (one.row.claim for one in claims)
    ]
    return Chart(
        key="published",
        title=_("Our ratios with their intervals beside the published ones"),
        figure=ratio_forest(
            [one.short for one in claims],
            [
                Series(name=_("Ours"), points=[one.point for one in claims]),
                Series(name=_("Published"), points=published, symbol="diamond-open"),
            ],
            x_title=_("ratio"),
        ),
        columns=(_("Claim"), _("Published"), _("Ours"), _("Interval"), _("n and units drawn")),
        rows=[
            (
                one.title,
                one.row.claim.published,
                one.figure,
                one.interval,
                one.aside.n if one.aside is not None else "",
            )
            for one in claims
        ],
        note=_(
            "The published range of the speedup is drawn as a bar; it is a range over settings, "
            "not an interval. Retention is measured as a divergence, which is no ratio."
        ),
    )

"""What may be said of the difference between two results in one measure."""

from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pipeline.contracts.estimates import PairedFigure
from pipeline.metrics.noninferiority import MIN_UNITS
from studio.measures.labels import ShownMeasure


class Status(StrEnum):
    """What may be said of a difference; the symbol and the word say it without colour."""

    IMPROVED = "improved"
    REGRESSED = "regressed"
    NO_DIFFERENCE = "no_difference"
    UNDECIDED = "undecided"
    DESCRIBES = "describes"

    @property
    def symbol(self) -> str:
        return {
            Status.IMPROVED: "\N{BLACK UP-POINTING TRIANGLE}",
            Status.REGRESSED: "\N{BLACK DOWN-POINTING TRIANGLE}",
            Status.NO_DIFFERENCE: "=",
            Status.UNDECIDED: "?",
            Status.DESCRIBES: "\N{MIDDLE DOT}",
        }[self]

    @property
    def label(self) -> Promise:
        return {
            Status.IMPROVED: gettext_lazy("better"),
            Status.REGRESSED: gettext_lazy("worse"),
            Status.NO_DIFFERENCE: gettext_lazy("no difference seen"),
            Status.UNDECIDED: gettext_lazy("not decided"),
            Status.DESCRIBES: gettext_lazy("describes"),
        }[self]

    @property
    def tone(self) -> str:
        tones = {Status.IMPROVED: "success", Status.REGRESSED: "danger"}
        return tones.get(self, "warning" if self is Status.UNDECIDED else "secondary")


def judge_difference(
    measure: ShownMeasure, figure: PairedFigure, *, is_undecidable: bool
) -> tuple[Status, str]:
    """What may be said, and why not more. Missing items never help a candidate."""
    if measure.direction == "neutral":
        return Status.DESCRIBES, ""
    if is_undecidable:
        return Status.UNDECIDED, _("the results are not comparable")
    low, high = figure.difference.low, figure.difference.high
    if low is None or high is None or figure.num_units < MIN_UNITS:
        return Status.UNDECIDED, _("%(n)s units are too few, %(min)s are needed") % {
            "n": figure.num_units,
            "min": MIN_UNITS,
        }
    if measure.direction == "lower":
        low, high = -high, -low
    if high < 0:
        return Status.REGRESSED, ""
    if figure.missing:
        return Status.UNDECIDED, _("%(n)s missing") % {"n": figure.missing}
    return (Status.IMPROVED if low > 0 else Status.NO_DIFFERENCE), ""

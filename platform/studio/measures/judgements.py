"""What may be said of the difference between two results in one measure, and why not more."""

from dataclasses import dataclass
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from pipeline.contracts.estimates import PairedFigure
from pipeline.metrics.decisions import Decision, Difference, Doubt
from pipeline.metrics.noninferiority import MIN_UNITS
from studio.measures.labels import ShownMeasure
from studio.measures.resampling import FamilyFigures, PairFigures


class Status(StrEnum):
    """The four words, and one for what is no difference in quality.

    The symbol and the word say it without colour.
    """

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    NOT_DECIDED = "not_decided"
    DESCRIBES = "describes"

    @property
    def symbol(self) -> str:
        return {
            Status.BETTER: "\N{BLACK UP-POINTING TRIANGLE}",
            Status.WORSE: "\N{BLACK DOWN-POINTING TRIANGLE}",
            Status.EQUIVALENT: "=",
            Status.NOT_DECIDED: "?",
            Status.DESCRIBES: "\N{MIDDLE DOT}",
        }[self]

    @property
    def label(self) -> Promise:
        return {
            Status.BETTER: gettext_lazy("better"),
            Status.WORSE: gettext_lazy("worse"),
            Status.EQUIVALENT: gettext_lazy("equivalent within the margin"),
            Status.NOT_DECIDED: gettext_lazy("not decided"),
            Status.DESCRIBES: gettext_lazy("describes"),
        }[self]

    @property
    def tone(self) -> str:
        tones = {Status.BETTER: "success", Status.WORSE: "danger"}
        return tones.get(self, "warning" if self is Status.NOT_DECIDED else "secondary")


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """A word with what qualifies it."""

    status: Status
    reason: str = ""
    """Why nothing is decided, or that a difference within the margin is real."""
    rank: int = 0
    """Regressions first: what a reader must see before anything else has the lowest."""

    @property
    def tone(self) -> str:
        return self.status.tone

    @property
    def symbol(self) -> str:
        return self.status.symbol

    @property
    def label(self) -> Promise:
        return self.status.label


DESCRIBES = Judgement(status=Status.DESCRIBES, rank=5)


def difference_between(
    alone: PairFigures | None,
    together: FamilyFigures | None,
    measure: ShownMeasure,
    *,
    margin: float | None,
) -> Difference | None:
    """What is to be judged of two results in one measure; None where a part of it is missing.

    Args:
        alone: their figures by themselves, which have the p values.
        together: the same with the intervals of the family.
        measure: which; one without a direction is never judged.
        margin: in the measure's stored unit.
    """
    if alone is None or together is None or measure.direction == "neutral":
        return None
    figure = together.figure(measure.task, measure.key)
    task = alone.tasks.get(measure.task)
    if figure is None or task is None or measure.key not in task.p_values:
        return None
    return Difference(
        simultaneous=figure.difference,
        p_value=task.p_values[measure.key],
        direction=measure.direction,
        margin=margin,
        num_missing=figure.missing,
    )


def not_judged(*, is_comparable: bool) -> Judgement:
    """Of a difference outside any family: the results do not fit, or the family is not whole."""
    reason = _("being computed") if is_comparable else _("the results are not comparable")
    return Judgement(status=Status.NOT_DECIDED, reason=reason, rank=4)


def judgement_of(decision: Decision, figure: PairedFigure, *, margin: float | None) -> Judgement:
    """The decision's word in the reader's language."""
    status = Status(decision.word.value)
    is_loss = decision.is_real and decision.gain < 0
    if status is Status.EQUIVALENT:
        real = _("a small but real loss") if is_loss else _("a small but real gain")
        reason = real if decision.is_real else ""
        return Judgement(status=status, reason=reason, rank=1 if is_loss else 3)
    if status is Status.NOT_DECIDED:
        return Judgement(status=status, reason=_doubt(decision, figure, margin), rank=4)
    return Judgement(status=status, rank=0 if status is Status.WORSE else 2)


def _doubt(decision: Decision, figure: PairedFigure, margin: float | None) -> str:
    if decision.doubt is Doubt.TOO_FEW_UNITS:
        return _("%(n)s units are too few, %(min)s are needed") % {
            "n": figure.num_units,
            "min": MIN_UNITS,
        }
    if decision.doubt is Doubt.NO_INTERVAL:
        return _("there is no interval")
    if decision.doubt is Doubt.MISSING:
        return _("%(n)s missing") % {"n": figure.missing}
    if margin is None:
        reason = _("the interval holds 0, and no margin was fixed before the runs")
    else:
        reason = _("the interval holds 0 and reaches beyond the margin")
    needed = None
    if decision.low is not None and decision.high is not None:
        needed = figure.items_to_settle(decision.low, decision.high)
    return reason if needed is None else f"{reason} ({settled_by(needed)})"


def settled_by(num_items: int) -> str:
    """How many questions would show the difference that was seen (`PairedFigure.items_needed`)."""
    return ngettext(
        "about %(n)s question would show a difference of this size",
        "about %(n)s questions would show a difference of this size",
        num_items,
    ) % {"n": f"{num_items:,}"}

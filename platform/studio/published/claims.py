"""The paper's claims in the reader's language, each with our figure or why there is none.

What stands beside each claim is decided by `pipeline.contracts.claims`, for every place that shows
it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from pipeline.contracts.claims import ClaimRow, Gauge, Role, claim_rows
from pipeline.contracts.estimates import Estimate
from pipeline.metrics.uncertainty import LEVEL
from studio.evaluations.judged_gauges import bits
from studio.measures.documents import Documents
from studio.measures.numbers import interval, judged_interval, percent, ratio, ratio_interval
from studio.measures.plots import Point
from studio.published.asides import Aside, overlap_aside, speedup_aside
from studio.published.measured import Measured
from studio.published.retention import retention_aside, witness
from studio.published.words import ClaimFamily

ROLE_LABELS: Mapping[Role, Promise] = {
    "base": gettext_lazy("an evaluation of the base"),
    "cpt": gettext_lazy("an evaluation of the continually pre-trained model"),
    "sft_progressive": gettext_lazy("an evaluation of the progressively fine-tuned model"),
    "sft_single_stage": gettext_lazy("an evaluation of the single-stage control"),
}
_ASIDES: Mapping[Gauge, Callable[[ClaimRow, Measured, ClaimFamily], Aside | None]] = {
    "retention": retention_aside,
    "overlap": overlap_aside,
    "speedup": speedup_aside,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownClaim:
    """One claim with our figure, or why there is none."""

    row: ClaimRow
    aside: Aside | None
    reason: str
    """Why there is no figure."""
    estimate: Estimate | None
    """Our figure with the one interval that its word or verdict rests on."""
    is_judged: bool
    """The interval agrees with a word: a bound of exactly 1 is where it was made to."""
    is_open_at_one: bool
    """The bound at 1 does not belong to it: the corrected test has excluded 1."""

    @property
    def title(self) -> str:
        return self.row.claim.title.in_language(get_language() or "")

    @property
    def short(self) -> str:
        """For the axis of the chart."""
        return self.row.claim.short.in_language(get_language() or "")

    @property
    def figure(self) -> str:
        """A ratio, or bits per byte of divergence."""
        value = None if self.estimate is None else self.estimate.value
        if self.row.claim.is_ratio:
            return ratio(value)
        return _("%(value)s bits per byte") % {"value": bits(value)}

    @property
    def interval(self) -> str:
        """With its level, for it is not the same in every row."""
        if self.estimate is None or self.estimate.level is None:
            return ""
        level = percent(self.estimate.level, 2 if self.estimate.level > LEVEL else 0)
        if not self.row.claim.is_ratio:
            return f"{level} {interval(self.estimate, digits=4)}"
        if self.is_judged:
            return f"{level} {judged_interval(self.estimate, is_open=self.is_open_at_one)}"
        return f"{level} {ratio_interval(self.estimate)}"

    @property
    def point(self) -> Point:
        """For the chart."""
        return Point.of(self.estimate) if self.is_judged else Point.of_ratio(self.estimate)


def shown_claims(found: Measured, family: ClaimFamily) -> list[ShownClaim]:
    """The claims in the paper's order."""
    shown = []
    for row in claim_rows(found.evidence()):
        aside = None if row.missing else _ASIDES[row.claim.gauge](row, found, family)
        word = family.words.get(row.claim.key)
        shown.append(
            ShownClaim(
                row=row,
                aside=aside,
                reason="" if aside is not None else _reason(row, found),
                estimate=row.figure if word is None else word.ratio,
                is_judged=word is not None,
                is_open_at_one=word is not None and word.decision.is_real,
            )
        )
    return shown


def _reason(row: ClaimRow, found: Measured) -> str:
    if row.missing:
        return _missing(ROLE_LABELS[row.missing[0]])
    if row.claim.gauge == "retention":
        return " ".join([_missing(_("scores of single texts and a margin")), *witness(found)])
    if row.claim.gauge == "speedup":
        no_benchmark, no_answer = _("a decoding benchmark"), _("a timed answer")
        return _missing(no_benchmark if found.benchmark is None else no_answer)
    pair = None if row.claim.pair is None else found.pair(row.claim.pair)
    if pair is None:
        return _missing("")
    stored = found.stored[Documents.ALL][pair[0].id, pair[1].id]
    return _("being computed") if stored.is_pending else _missing(stored.problem)


def _missing(what: object) -> str:
    return _("not measured in this plan: %(what)s") % {"what": what}

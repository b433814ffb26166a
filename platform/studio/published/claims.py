"""The paper's claims in the reader's language, each with our ratio or why there is none.

What stands beside each claim is decided by `pipeline.contracts.claims`, for every place that shows
it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from pipeline.contracts.claims import ClaimRow, Gauge, Role, claim_rows
from studio.measures.documents import Documents
from studio.measures.numbers import interval, ratio
from studio.published.asides import Aside, overlap_aside, retention_aside, speedup_aside
from studio.published.measured import Measured

ROLE_LABELS: Mapping[Role, Promise] = {
    "base": gettext_lazy("an evaluation of the base"),
    "cpt": gettext_lazy("an evaluation of the continually pre-trained model"),
    "sft_progressive": gettext_lazy("an evaluation of the progressively fine-tuned model"),
    "sft_single_stage": gettext_lazy("an evaluation of the single-stage control"),
}
_ASIDES: Mapping[Gauge, Callable[[ClaimRow, Measured], Aside | None]] = {
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

    @property
    def title(self) -> str:
        return self.row.claim.title.in_language(get_language() or "")

    @property
    def short(self) -> str:
        """For the axis of the chart."""
        return self.row.claim.short.in_language(get_language() or "")

    @property
    def ratio(self) -> str:
        return ratio(None if self.row.ratio is None else self.row.ratio.value)

    @property
    def interval(self) -> str:
        return interval(self.row.ratio, digits=3)


def shown_claims(found: Measured) -> list[ShownClaim]:
    """The claims in the paper's order."""
    shown = []
    for row in claim_rows(found.evidence()):
        aside = None if row.missing else _ASIDES[row.claim.gauge](row, found)
        reason = "" if aside is not None else _reason(row, found)
        shown.append(ShownClaim(row=row, aside=aside, reason=reason))
    return shown


def _reason(row: ClaimRow, found: Measured) -> str:
    if row.missing:
        return _missing(ROLE_LABELS[row.missing[0]])
    if row.claim.gauge == "retention":
        return _missing(_("general ability against the base"))
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

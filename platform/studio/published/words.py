"""What may be said of our overlap ratios: all of them on the page are judged together."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.contracts.claims import CLAIMS, Claim
from pipeline.contracts.estimates import Estimate
from pipeline.contracts.samples import Task
from pipeline.metrics.decisions import Decision, Difference, agreeing_interval, decide
from studio.evaluations.stored_figures import StoredFamily, family_figures
from studio.measures.documents import Documents
from studio.measures.judgements import difference_between
from studio.measures.labels import MEASURES
from studio.measures.resampling import PairFigures
from studio.published.measured import Measured

TASK: Task = "text_overlap"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimWord:
    """The decision on one claim, and the ratio with the interval that it rests on."""

    decision: Decision
    ratio: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimFamily:
    """The overlap claims that were measured; a ratio has no margin, so none is equivalent."""

    words: Mapping[str, ClaimWord] = field(default_factory=dict)
    """By the claim's key; empty until all intervals are computed."""
    num_tests: int = 0
    pending: tuple[str, str] | None = None
    """Run ids of a pair whose intervals the page cannot wait for."""


def judge_claims(found: Measured) -> ClaimFamily:
    """The words for every overlap claim with a figure."""
    claims = [claim for claim in CLAIMS if _is_judged(found, claim)]
    pairs = {
        (pair[0].id, pair[1].id): pair
        for claim in claims
        if claim.pair is not None and (pair := found.pair(claim.pair)) is not None
    }
    if not claims or any(one.is_pending for one in found.stored[Documents.ALL].values()):
        return ClaimFamily()
    together = family_figures(list(pairs.values()), len(claims))
    differences: dict[str, Difference] = {}
    ratios: dict[str, Estimate] = {}
    for claim in claims:
        asked = _asked(found, claim, together)
        if asked is not None:
            differences[claim.key], ratios[claim.key] = asked
    pending = next((key for key, one in together.items() if one.is_pending), None)
    if len(differences) < len(claims):
        return ClaimFamily(num_tests=len(claims), pending=pending)
    decisions = decide(list(differences.values()))
    return ClaimFamily(
        words={
            key: ClaimWord(decision=decision, ratio=_agreeing(ratios[key], decision))
            for key, decision in zip(differences, decisions, strict=True)
        },
        num_tests=len(claims),
    )


def _alone(found: Measured, claim: Claim) -> PairFigures | None:
    """The figures of the claim's two results by themselves."""
    pair = None if claim.pair is None else found.pair(claim.pair)
    return None if pair is None else found.stored[Documents.ALL][pair[0].id, pair[1].id].figures


def _is_judged(found: Measured, claim: Claim) -> bool:
    alone = _alone(found, claim)
    if alone is None or claim.measure is None:
        return False
    figure, task = alone.figure(TASK, claim.measure), alone.tasks.get(TASK)
    has_ratio = figure is not None and figure.ratio is not None
    return has_ratio and task is not None and claim.measure in task.p_values


def _asked(
    found: Measured, claim: Claim, together: StoredFamily
) -> tuple[Difference, Estimate] | None:
    """The difference to be judged, and the ratio that the page shows of it."""
    pair = None if claim.pair is None else found.pair(claim.pair)
    if pair is None or claim.measure is None:
        return None
    in_family = together[pair[0].id, pair[1].id].figures
    figure = None if in_family is None else in_family.figure(TASK, claim.measure)
    difference = difference_between(
        _alone(found, claim), in_family, MEASURES[claim.measure], margin=None
    )
    if difference is None or figure is None or figure.ratio is None:
        return None
    return difference, figure.ratio


def _agreeing(ratio: Estimate, decision: Decision) -> Estimate:
    """The ratio whose interval excludes 1 where the word says that there is a difference."""
    bounds = agreeing_interval(ratio, null=1.0, is_real=decision.is_real)
    if bounds is None:
        return ratio
    return ratio.model_copy(update={"low": bounds[0], "high": bounds[1]})

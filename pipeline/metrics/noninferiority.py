"""Reads PASS, FAIL or INCONCLUSIVE off the interval of a retention ratio.

With a margin fixed before the run, PASS needs the whole interval at or above 1 - margin and FAIL
needs it below. A bootstrap of 0/1 scores collapses when hardly any item flips, so two exact
conditions stand beside the interval; without them three unchanged items would be a PASS.
"""

import math
from dataclasses import dataclass

from pipeline.contracts.estimates import Estimate
from pipeline.contracts.evaluation_results import Reason, Verdict
from pipeline.metrics.uncertainty import mcnemar_exact

MIN_UNITS = 20
"""A bootstrap over fewer clusters or items is too narrow to decide on (Cameron et al. 2008)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What a verdict rests on."""

    adjusted_ratio: Estimate | None
    """(new - chance) / (base - chance)"""
    headroom: float
    """base - chance, the largest possible loss in score."""
    effective_units: float
    """Units that one plain mean would need for the same certainty; `num_units` in one category."""
    flips: tuple[int, int] | None
    """Items lost (1 -> 0) and won (0 -> 1); None for scores between 0 and 1."""


def judge(evidence: Evidence, margin: float) -> tuple[Verdict, Reason]:
    """Returns the verdict and why.

    Definition: on 0/1 scores FAIL also needs so many losses that chance is excluded even had
        nothing been won; PASS also needs so many units that a loss as large as the margin would
        have left a trace ("rule of three"), or a gain that chance does not explain.
    Direction: PASS is good; INCONCLUSIVE is never a PASS.
    Source: non-inferiority as in ICH E9; Hanley and Lippman-Hand 1983 (rule of three).
    """
    ratio = evidence.adjusted_ratio
    if ratio is None:
        return Verdict.INCONCLUSIVE, Reason.BASE_NEAR_CHANCE
    if ratio.interval is None or ratio.num_units < MIN_UNITS:
        return Verdict.INCONCLUSIVE, Reason.TOO_FEW_ITEMS
    low, high, level = ratio.interval
    error_rate = 1.0 - level
    if high < 1.0 - margin:
        if evidence.flips is not None and mcnemar_exact(evidence.flips[0], 0) >= error_rate:
            return Verdict.INCONCLUSIVE, Reason.TOO_FEW_ITEMS
        return Verdict.FAIL, Reason.INTERVAL
    if low < 1.0 - margin:
        return Verdict.INCONCLUSIVE, Reason.INTERVAL_CROSSES_MARGIN
    if evidence.flips is not None:
        is_gain = low > 1.0 and mcnemar_exact(0, evidence.flips[1]) < error_rate
        needed = _units_to_see_a_loss(evidence.headroom, margin, error_rate)
        if evidence.effective_units < needed and not is_gain:
            return Verdict.INCONCLUSIVE, Reason.TOO_FEW_ITEMS
    return Verdict.PASS, Reason.INTERVAL


def items_needed(evidence: Evidence, margin: float, reason: Reason) -> int | None:
    """Returns how many items of the same mix would settle an inconclusive verdict.

    Definition: n * (half-width / |R* - (1 - margin)|)^2, that is, were the ratio to stay where it
        is; with too few items, the number that meets the conditions of `judge`. None where more
        items are not the remedy.
    Direction: none; a number far beyond any benchmark says that the margin is too fine.
    Source: the width of an interval falls with the square root of n; Miller 2024, power analysis.
    """
    ratio = evidence.adjusted_ratio
    if ratio is None or ratio.interval is None:
        return None
    low, high, level = ratio.interval
    if reason is Reason.TOO_FEW_ITEMS:
        needed = _units_to_see_a_loss(evidence.headroom, margin, 1.0 - level)
        scale = max(needed / evidence.effective_units, MIN_UNITS / ratio.num_units)
    elif reason is Reason.INTERVAL_CROSSES_MARGIN and ratio.value != 1.0 - margin:
        gap = ratio.value - (1.0 - margin)
        half_width = ratio.value - low if gap > 0 else high - ratio.value
        scale = (half_width / gap) ** 2
    else:
        return None
    return math.ceil(ratio.n * scale)


def _units_to_see_a_loss(headroom: float, margin: float, error_rate: float) -> float:
    """Units of which at least one would be lost, but for half the error rate, at a loss of margin.

    Solves (1 - margin * headroom) ** n = error_rate / 2.
    """
    return math.log(error_rate / 2.0) / math.log1p(-margin * headroom)

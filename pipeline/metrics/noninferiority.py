"""Reads PASS, FAIL or INCONCLUSIVE off the interval of a retention ratio.

With a margin fixed before the run, PASS needs the whole interval at or above 1 - margin and FAIL
needs it below. The interval already holds where hardly any item flips: its lower bound is that of a
loss that could have left no trace (`pipeline.metrics.exact_limits`). What is added here is what an
interval cannot say: that there are too few clusters to speak of others, and what would settle it.
"""

import math
from dataclasses import dataclass

from pipeline.contracts.estimates import FEW_UNITS, Estimate
from pipeline.contracts.evaluation_results import Reason
from pipeline.contracts.verdicts import Verdict
from pipeline.metrics.exact_limits import Changes
from pipeline.metrics.uncertainty import mcnemar_exact

MIN_UNITS = FEW_UNITS
"""Fewer clusters, or items that stand alone, decide nothing."""
MIN_UNITS_IN_CATEGORY = 5
"""With fewer units a category's part of the error is not known."""
_TOO_MANY = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What a verdict rests on."""

    adjusted_ratio: Estimate | None
    """(new - chance) / (base - chance)"""
    headroom: float
    """base - chance, the largest possible loss in score."""
    changes: Changes
    """Of each item, from the base to the new model."""
    units_in_category: tuple[int, ...]
    flips: tuple[int, int] | None
    """Items lost (1 -> 0) and won (0 -> 1); None for scores between 0 and 1."""
    level: float

    @property
    def effective_items(self) -> float:
        """Independent items that would be as sure of a plain mean."""
        return self.changes.effective_items / self.changes.design_effect


def judge(evidence: Evidence, margin: float) -> tuple[Verdict, Reason]:
    """Returns the verdict and why.

    Definition: the interval against 1 - margin; on 0/1 scores FAIL also needs so many losses that
        chance is excluded even had nothing been won.
    Direction: PASS is good; INCONCLUSIVE is never a PASS.
    Source: non-inferiority as in ICH E9; Hanley and Lippman-Hand 1983 (rule of three).
    """
    ratio = evidence.adjusted_ratio
    if ratio is None:
        return Verdict.INCONCLUSIVE, Reason.BASE_NEAR_CHANCE
    if ratio.interval is None or _units_missing(evidence):
        is_clustered = ratio.resampled == "cluster"
        return Verdict.INCONCLUSIVE, (
            Reason.TOO_FEW_CLUSTERS if is_clustered else Reason.TOO_FEW_ITEMS
        )
    low, high, level = ratio.interval
    if high < 1.0 - margin:
        if evidence.flips is not None and mcnemar_exact(evidence.flips[0], 0) >= 1.0 - level:
            return Verdict.INCONCLUSIVE, Reason.TOO_FEW_ITEMS
        return Verdict.FAIL, Reason.INTERVAL
    if low >= 1.0 - margin:
        return Verdict.PASS, Reason.INTERVAL
    changes = evidence.changes
    if_unchanged = changes.effective_items / changes.assumed_design_effect
    is_too_few = evidence.flips is not None and if_unchanged < _least(evidence, margin)
    return Verdict.INCONCLUSIVE, (
        Reason.TOO_FEW_ITEMS if is_too_few else Reason.INTERVAL_CROSSES_MARGIN
    )


def needed(evidence: Evidence, margin: float, reason: Reason) -> tuple[int | None, int | None]:
    """Returns how many items, or how many clusters, would settle an inconclusive verdict.

    Definition: the independent items that the verdict asks for are effective_items * (distance
        from the ratio to the bound that crosses / distance to 1 - margin)^2, were the ratio to stay
        where it is; with too few items, the number of which at least one would have been lost at a
        loss of the margin. From n items in the clusters of today follows how many of them that
        takes; where it takes more than twice as many as in new clusters, the clusters.
    Direction: none; a number far beyond any benchmark says that the margin is too fine.
    Source: the width of an interval falls with the square root of n; Miller 2024, power analysis.

    Returns:
        (items in all, None), (None, clusters in all), or two None where neither is the remedy.
    """
    ratio = evidence.adjusted_ratio
    if ratio is None:
        return None, None
    if reason is Reason.TOO_FEW_CLUSTERS:
        return None, ratio.num_units + _units_missing(evidence)
    if reason is Reason.TOO_FEW_ITEMS:
        target = 0.0 if evidence.flips is None else _least(evidence, margin)
        floor = ratio.num_units + _units_missing(evidence)
    elif reason is Reason.INTERVAL_CROSSES_MARGIN and ratio.interval is not None:
        gap = ratio.value - (1.0 - margin)
        if gap == 0.0:
            return None, None
        low, high, _level = ratio.interval
        half_width = ratio.value - low if gap > 0 else high - ratio.value
        target = evidence.effective_items * (half_width / gap) ** 2
        floor = 0
    else:
        return None, None
    changes = evidence.changes
    grown = target * changes.design_effect / changes.effective_items
    # Items added to the clusters of today: less than all of them count.
    spared = 1.0 - changes.correlation * target * changes.crowding / changes.effective_items
    same_clusters = target * (1.0 - changes.correlation) / changes.effective_items
    if same_clusters <= _TOO_MANY * grown * spared:
        return max(math.ceil(ratio.n * same_clusters / spared), floor), None
    return None, max(math.ceil(ratio.num_units * grown), floor)


def _units_missing(evidence: Evidence) -> int:
    """How many units the floors ask for beyond those there are."""
    units = evidence.units_in_category
    in_categories = sum(max(0, MIN_UNITS_IN_CATEGORY - num_units) for num_units in units)
    return max(MIN_UNITS - sum(units), in_categories)


def _least(evidence: Evidence, margin: float) -> float:
    """Independent items of which at least one would be lost, but for half the error rate.

    At a loss of the margin exp(-n * margin * headroom) = (1 - level) / 2.
    """
    return -math.log((1.0 - evidence.level) / 2.0) / (margin * evidence.headroom)

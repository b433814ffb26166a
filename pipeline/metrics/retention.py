"""How much of the base model's general ability a trained model keeps, and how sure that is.

Both models answer the same items. The verdict judges the chance-adjusted ratio of macro averages
against a margin fixed before the run; `docs/metrics.md` has the formulas and what they do not see.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.contracts.evaluation_results import (
    CategoryRetention,
    ClusterChange,
    FlipNull,
    Flips,
    Reason,
    RetentionGroup,
    RetentionResults,
)
from pipeline.contracts.verdicts import Verdict
from pipeline.errors import SpecError
from pipeline.metrics.flip_null import exceeds
from pipeline.metrics.noninferiority import Evidence, judge, needed
from pipeline.metrics.retention_groups import ItemGroup
from pipeline.metrics.retention_table import RetentionItem, RetentionTable
from pipeline.metrics.uncertainty import LEVEL, mcnemar_exact


def measure_retention(
    items: Sequence[RetentionItem],
    *,
    margin: float,
    nulls: Sequence[FlipNull] = (),
    level: float = LEVEL,
) -> RetentionResults:
    """Returns retention of the base's ability on the same items, with intervals and a verdict.

    Definition, Direction, Source: `measure_table`.

    Args:
        items: each with a unique id; right/wrong, or the probability of the right choice.
        margin, nulls, level: as `measure_table`.

    Raises:
        SpecError: `spec.invalid`, the margin is out of range.
        DataError: `data.empty`; `data.row_invalid`, a repeated id, a score outside [0, 1] or fewer
            than two choices.
        EvaluationError: `eval.items_differ`, no item has both scores.
    """
    return measure_table(RetentionTable.of(items), margin=margin, nulls=nulls, level=level)


def measure_table(
    table: RetentionTable,
    *,
    margin: float,
    nulls: Sequence[FlipNull] = (),
    level: float = LEVEL,
) -> RetentionResults:
    """Returns retention of the base's ability on the same items, with intervals and a verdict.

    Definition: R = new / base and R* = (new - chance) / (base - chance) of mean scores, over all
        items (micro), of category means (macro) and in each category. Intervals: Fieller's with
        Student's t, from leaving out each cluster, and not less than the exact limits of rare
        flips. PASS if the interval of the macro R* starts at or above 1 - margin, FAIL if it ends
        below; category intervals share the error rate (Bonferroni).
    Direction: higher is better; 1 means that nothing was lost.
    Source: Miller 2024 (arXiv 2411.00640), paired and clustered errors; Harmon et al. 2025 (arXiv
        2510.17776), chance adjustment and flips; non-inferiority as in clinical trials (ICH E9).

    Args:
        margin: largest loss of R* that counts as retained, fixed before the run; 0.01 is one per
            cent.
        nulls: how often the base loses its own right answers, measured.

    Raises:
        SpecError: `spec.invalid`, the margin is out of range.
    """
    if not 0.0 < margin < 1.0:
        raise SpecError(
            "spec.invalid", f"margin is {margin}; give a share between 0 and 1, such as 0.01"
        )
    is_binary = table.is_binary
    micro_items = ItemGroup.of_all(table, is_macro=False)
    macro_items = micro_items
    if len(table.categories) > 1:
        macro_items = ItemGroup.of_all(table, is_macro=True)
    family_level = 1.0 - (1.0 - level) / len(table.categories)
    categories = tuple(
        _category_retention(
            name, micro_items.of_category(number), margin, family_level, is_binary=is_binary
        )
        for number, name in enumerate(table.categories)
    )
    macro = macro_items.retention(level)
    micro = micro_items.retention(level)
    flips = _flips(table, micro_items, nulls, level) if is_binary else None
    worst_cluster = _worst_cluster(table) if is_binary else None
    evidence = _evidence(macro, macro_items, level, is_binary=is_binary)
    verdict, reason = judge(evidence, margin)
    if verdict is Verdict.PASS and table.num_missing:
        verdict, reason = Verdict.INCONCLUSIVE, Reason.ITEMS_MISSING
    elif verdict is Verdict.PASS and any(one.verdict is Verdict.FAIL for one in categories):
        verdict, reason = Verdict.INCONCLUSIVE, Reason.CATEGORY_FAILED
    elif verdict is Verdict.PASS and _has_failed(worst_cluster, evidence, margin):
        verdict, reason = Verdict.INCONCLUSIVE, Reason.CLUSTER_FAILED
    num_items_needed, num_clusters_needed = needed(evidence, margin, reason)
    ranked = [
        (one.estimate.adjusted_ratio.value, one.category)
        for one in categories
        if one.estimate.adjusted_ratio is not None
    ]
    return RetentionResults(
        verdict=verdict,
        reason=reason,
        margin=margin,
        macro=macro,
        micro=micro,
        categories=categories,
        worst_category=min(ranked)[1] if ranked else None,
        flips=flips,
        num_missing=table.num_missing,
        items_needed=num_items_needed,
        clusters_needed=num_clusters_needed,
        effective_items=evidence.effective_items,
        design_effect=macro_items.changes.design_effect,
        worst_cluster=worst_cluster,
    )


def _category_retention(
    category: str, items: ItemGroup, margin: float, level: float, *, is_binary: bool
) -> CategoryRetention:
    kept = items.retention(level)
    verdict, reason = judge(_evidence(kept, items, level, is_binary=is_binary), margin)
    return CategoryRetention(category=category, estimate=kept, verdict=verdict, reason=reason)


def _evidence(kept: RetentionGroup, items: ItemGroup, level: float, *, is_binary: bool) -> Evidence:
    gains = items.gains
    return Evidence(
        adjusted_ratio=kept.adjusted_ratio,
        headroom=kept.base - kept.chance,
        changes=items.changes,
        units_in_category=tuple(int(count) for count in items.units_in_category),
        flips=(int((gains < 0).sum()), int((gains > 0).sum())) if is_binary else None,
        level=level,
    )


def _flips(
    table: RetentionTable, items: ItemGroup, nulls: Sequence[FlipNull], level: float
) -> Flips:
    is_lost = table.base * (1.0 - table.new)
    is_won = (1.0 - table.base) * table.new
    rate = items.share(is_lost, level)
    found = [exceeds(rate, null.rate) for null in nulls]
    return Flips(
        regressed=int(is_lost.sum()),
        gained=int(is_won.sum()),
        regressed_rate=rate,
        gained_rate=float(is_won.mean()),
        null_flip_rate=max((null.rate.value for null in nulls), default=None),
        exceeds_null=None if not found or None in found else all(found),
        nulls=tuple(nulls),
        mcnemar_p=mcnemar_exact(int(is_lost.sum()), int(is_won.sum())),
    )


def _worst_cluster(table: RetentionTable) -> ClusterChange | None:
    """The cluster whose losses chance explains least, of those with two or more items."""
    sizes = np.bincount(table.unit)
    is_cluster = sizes > 1  # an item that names no cluster is a unit of its own
    if not is_cluster.any():
        return None
    moves = table.new - table.base
    lost = np.bincount(table.unit, moves < 0).astype(int)
    won = np.bincount(table.unit, moves > 0).astype(int)
    candidates = np.flatnonzero(is_cluster & (lost > won))
    if not len(candidates):
        return None
    p_values = {unit: mcnemar_exact(int(lost[unit]), int(won[unit])) / 2.0 for unit in candidates}
    worst = min(candidates, key=lambda unit: (p_values[unit], (won - lost)[unit] / sizes[unit]))
    return ClusterChange(
        cluster=table.clusters[worst] or "",
        category=table.categories[table.category[np.argmax(table.unit == worst)]],
        num_items=int(sizes[worst]),
        regressed=int(lost[worst]),
        gained=int(won[worst]),
        adjusted_p=min(1.0, p_values[worst] * int(is_cluster.sum())),
    )


def _has_failed(worst: ClusterChange | None, evidence: Evidence, margin: float) -> bool:
    """Whether a cluster lost more than the margin, and more than chance explains."""
    if worst is None or worst.adjusted_p >= (1.0 - evidence.level) / 2.0:
        return False
    return (worst.regressed - worst.gained) / worst.num_items > margin * evidence.headroom

"""How much of the base model's general ability a trained model keeps, and how sure that is.

Both models answer the same items. The verdict judges the chance-adjusted ratio of macro averages
against a margin fixed before the run; `docs/metrics.md` has the formulas and what they do not see.
Array names carry their shape: C categories, B resamples, K columns of sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.contracts.estimates import Estimate
from pipeline.contracts.evaluation_results import (
    CategoryRetention,
    Flips,
    Reason,
    RetentionGroup,
    RetentionResults,
    Verdict,
)
from pipeline.errors import DataError, EvaluationError, SpecError
from pipeline.metrics.noninferiority import Evidence, items_needed, judge
from pipeline.metrics.uncertainty import (
    LEVEL,
    NUM_RESAMPLES,
    bootstrap_sums,
    cluster_sums,
    estimate,
    mcnemar_exact,
    positive_ratio,
)

MIN_ABOVE_CHANCE = 0.10
"""Below this distance of the base from guessing, the adjusted ratio would divide by noise."""

_COUNT, _BASE, _NEW, _CHANCE, _REGRESSED, _GAINED = range(6)
_MEANS = slice(_BASE, _CHANCE + 1)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class RetentionItem:
    """One general-ability item scored by both models; a score in [0, 1], None if there is none."""

    item_id: str
    category: str
    base: float | None
    new: float | None
    num_choices: int | None = None
    """Options of a multiple-choice item; None where guessing scores nothing."""
    cluster: str | None = None
    """Items of one passage or subject that rise and fall together; None is a cluster of its own."""


def measure_retention(
    items: Sequence[RetentionItem],
    *,
    margin: float,
    null_flip_rate: float | None = None,
    num_resamples: int = NUM_RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> RetentionResults:
    """Returns retention of the base's ability on the same items, with intervals and a verdict.

    Definition: R = new / base and R* = (new - chance) / (base - chance) of mean scores, over all
        items (micro), of category means (macro) and in each category. Intervals: paired percentile
        bootstrap of whole clusters within each category, the same draws for both models. PASS if
        the interval of the macro R* starts at or above 1 - margin, FAIL if it ends below; category
        intervals share the error rate (Bonferroni).
    Direction: higher is better; 1 means that nothing was lost.
    Source: Miller 2024 (arXiv 2411.00640), paired and clustered errors; Harmon et al. 2025 (arXiv
        2510.17776), chance adjustment and flips; non-inferiority as in clinical trials (ICH E9).

    Args:
        items: each with a unique id; right/wrong, or the probability of the right choice.
        margin: largest loss of R* that counts as retained, fixed before the run; 0.01 is one per
            cent.
        null_flip_rate: 1 -> 0 rate between two runs of the base (seed, batch size, dtype).

    Raises:
        SpecError: `spec.invalid`, the margin or the null rate is out of range.
        DataError: `data.empty`; `data.row_invalid`, a repeated id, a score outside [0, 1] or fewer
            than two choices.
        EvaluationError: `eval.items_differ`, no item has both scores.
    """
    _check_rates(margin, null_flip_rate)
    _check_items(items)
    scored = [item for item in items if item.base is not None and item.new is not None]
    scored.sort(key=lambda item: item.item_id)  # the draws must not depend on the order given
    if not scored:
        raise EvaluationError(
            "eval.items_differ",
            f"none of the {len(items)} items has a score of both models; evaluate both on the same"
            " items",
        )
    is_binary = all(score in (0.0, 1.0) for item in scored for score in (item.base, item.new))
    rng = np.random.default_rng(seed)
    groups = [
        _group([item for item in scored if item.category == name], num_resamples, rng)
        for name in sorted({item.category for item in scored})
    ]
    num_categories = len(groups)
    family_level = 1.0 - (1.0 - level) / num_categories
    categories = tuple(
        _category_retention(group, margin, family_level, is_binary) for group in groups
    )

    num_units = sum(group.num_units for group in groups)
    macro_K = np.mean([group.sums / group.sums[_COUNT] for group in groups], axis=0)
    micro_K = np.sum([group.sums for group in groups], axis=0)
    drawn = [group.drawn for group in groups if group.drawn is not None]
    drawn_macro_BK = drawn_micro_BK = None
    # One category known from a single unit would count as known exactly: no interval at all then.
    if len(drawn) == num_categories:
        drawn_macro_BK = np.mean([rows_BK / rows_BK[:, [_COUNT]] for rows_BK in drawn], axis=0)
        drawn_micro_BK = np.sum(drawn, axis=0)
    macro = _estimate(macro_K, drawn_macro_BK, level, len(scored), num_units)
    micro = _estimate(micro_K, drawn_micro_BK, level, len(scored), num_units)
    flips = None
    if is_binary:
        flips = _flips(micro_K, drawn_micro_BK, level, null_flip_rate, num_units)

    # Small categories make a macro average less certain than its items together.
    effective_units = num_categories**2 / sum(1.0 / group.num_units for group in groups)
    evidence = _evidence(macro, effective_units, (flips.regressed, flips.gained) if flips else None)
    verdict, reason = judge(evidence, margin)
    num_missing = len(items) - len(scored)
    if verdict is Verdict.PASS and num_missing:
        verdict, reason = Verdict.INCONCLUSIVE, Reason.ITEMS_MISSING
    elif verdict is Verdict.PASS and any(one.verdict is Verdict.FAIL for one in categories):
        verdict, reason = Verdict.INCONCLUSIVE, Reason.CATEGORY_FAILED
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
        num_missing=num_missing,
        items_needed=items_needed(evidence, margin, reason),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Group:
    """Items of one category, summed and resampled."""

    category: str
    num_items: int
    num_units: int
    sums: FloatArray
    drawn: FloatArray | None
    """Sums of each resample, shape [B, K]; None when there is but one unit."""


def _group(items: Sequence[RetentionItem], num_resamples: int, rng: np.random.Generator) -> _Group:
    columns_K = np.zeros((len(items), 6))
    for row, item in enumerate(items):
        base, new = item.base or 0.0, item.new or 0.0  # neither is None: only scored items come
        chance = 1.0 / item.num_choices if item.num_choices else 0.0
        columns_K[row] = (1.0, base, new, chance, base * (1.0 - new), (1.0 - base) * new)
    clusters = None
    if any(item.cluster is not None for item in items):
        # The prefix keeps an item without a cluster apart from a cluster named like its id.
        clusters = [
            f"item:{item.item_id}" if item.cluster is None else f"cluster:{item.cluster}"
            for item in items
        ]
    units = cluster_sums(columns_K, clusters)
    drawn_BK = None
    if len(units) > 1:
        (drawn_BK,) = bootstrap_sums([units], num_resamples=num_resamples, rng=rng)
    return _Group(
        category=items[0].category,
        num_items=len(items),
        num_units=len(units),
        sums=columns_K.sum(axis=0),
        drawn=drawn_BK,
    )


def _category_retention(
    group: _Group, margin: float, level: float, is_binary: bool
) -> CategoryRetention:
    kept = _estimate(group.sums, group.drawn, level, group.num_items, group.num_units)
    flips = None
    if is_binary:
        flips = (int(group.sums[_REGRESSED]), int(group.sums[_GAINED]))
    verdict, reason = judge(_evidence(kept, float(group.num_units), flips), margin)
    return CategoryRetention(category=group.category, estimate=kept, verdict=verdict, reason=reason)


def _evidence(
    kept: RetentionGroup, effective_units: float, flips: tuple[int, int] | None
) -> Evidence:
    return Evidence(
        adjusted_ratio=kept.adjusted_ratio,
        headroom=kept.base - kept.chance,
        effective_units=effective_units,
        flips=flips,
    )


def _estimate(
    sums_K: FloatArray,
    drawn_BK: FloatArray | None,
    level: float,
    num_items: int,
    num_units: int,
) -> RetentionGroup:
    base, new, chance = (float(mean) for mean in sums_K[_MEANS] / sums_K[_COUNT])
    has_ratio = base > 0
    has_adjusted = base - chance >= MIN_ABOVE_CHANCE - 1e-12
    differences = ratios = adjusted = None
    if drawn_BK is not None:
        drawn_base, drawn_new, drawn_chance = (drawn_BK[:, _MEANS] / drawn_BK[:, [_COUNT]]).T
        differences = drawn_new - drawn_base
        ratios = positive_ratio(drawn_new, drawn_base)
        adjusted = positive_ratio(drawn_new - drawn_chance, drawn_base - drawn_chance)

    def figure(value: float, drawn: FloatArray | None) -> Estimate:
        return estimate(value, drawn, level=level, n=num_items, num_units=num_units)

    return RetentionGroup(
        base=base,
        new=new,
        chance=chance,
        difference=figure(new - base, differences),
        ratio=figure(new / base, ratios) if has_ratio else None,
        adjusted_ratio=(
            figure((new - chance) / (base - chance), adjusted) if has_adjusted else None
        ),
    )


def _flips(
    sums_K: FloatArray,
    drawn_BK: FloatArray | None,
    level: float,
    null_flip_rate: float | None,
    num_units: int,
) -> Flips:
    regressed, gained = int(sums_K[_REGRESSED]), int(sums_K[_GAINED])
    rate = estimate(
        regressed / float(sums_K[_COUNT]),
        None if drawn_BK is None else drawn_BK[:, _REGRESSED] / drawn_BK[:, _COUNT],
        level=level,
        n=int(sums_K[_COUNT]),
        num_units=num_units,
    )
    return Flips(
        regressed=regressed,
        gained=gained,
        regressed_rate=rate,
        gained_rate=gained / float(sums_K[_COUNT]),
        null_flip_rate=null_flip_rate,
        exceeds_null=(
            rate.low > null_flip_rate
            if rate.low is not None and null_flip_rate is not None
            else None
        ),
        mcnemar_p=mcnemar_exact(regressed, gained),
    )


def _check_rates(margin: float, null_flip_rate: float | None) -> None:
    if not 0.0 < margin < 1.0:
        raise SpecError(
            "spec.invalid", f"margin is {margin}; give a share between 0 and 1, such as 0.01"
        )
    if null_flip_rate is not None and not 0.0 <= null_flip_rate <= 1.0:
        raise SpecError(
            "spec.invalid", f"null_flip_rate is {null_flip_rate}; give a share from 0 to 1"
        )


def _check_items(items: Sequence[RetentionItem]) -> None:
    if not items:
        raise DataError("data.empty", "no item to measure retention on; choose a benchmark")
    seen: set[str] = set()
    for item in items:
        if item.item_id in seen:
            raise DataError(
                "data.row_invalid", f"item id {item.item_id!r} occurs twice; ids must be unique"
            )
        seen.add(item.item_id)
        for model, score in (("base", item.base), ("new", item.new)):
            if score is not None and not 0.0 <= score <= 1.0:
                raise DataError(
                    "data.row_invalid",
                    f"item {item.item_id!r}: {model} score is {score}; give a share from 0 to 1",
                )
        if item.num_choices is not None and item.num_choices < 2:
            raise DataError(
                "data.row_invalid",
                f"item {item.item_id!r}: num_choices is {item.num_choices}; give 2 or more, or None"
                " where guessing scores nothing",
            )

"""Retention on planted cases: the ratio, its interval and the verdict are known beforehand.

`python -m bench verdicts` has the planted cases in full; `test_metrics_planted.py` a part of them.
"""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from pipeline.contracts.evaluation_results import FlipNull, Reason, RetentionResults
from pipeline.contracts.verdicts import Verdict
from pipeline.errors import DataError, EvaluationError, SpecError
from pipeline.metrics.flip_null import exceeds, measure_flip_null
from pipeline.metrics.retention import measure_retention
from pipeline.metrics.retention_table import RetentionItem


def _items(
    base: Sequence[float],
    new: Sequence[float],
    *,
    category: str = "knowledge",
    num_choices: int | None = 4,
    clusters: Sequence[str] | None = None,
) -> list[RetentionItem]:
    return [
        RetentionItem(
            item_id=f"{category}-{index:06d}",
            category=category,
            base=float(before),
            new=float(after),
            num_choices=num_choices,
            cluster=None if clusters is None else clusters[index],
        )
        for index, (before, after) in enumerate(zip(base, new, strict=True))
    ]


def _counted(
    right_right: int,
    lost: int,
    won: int,
    wrong_wrong: int,
    *,
    category: str = "knowledge",
    num_choices: int | None = 4,
) -> list[RetentionItem]:
    """Items with exactly these counts of (base, new) = (1, 1), (1, 0), (0, 1), (0, 0)."""
    base = [1] * (right_right + lost) + [0] * (won + wrong_wrong)
    new = [1] * right_right + [0] * lost + [1] * won + [0] * wrong_wrong
    return _items(base, new, category=category, num_choices=num_choices)


def _measure(items: Sequence[RetentionItem], margin: float = 0.01, **options) -> RetentionResults:
    return measure_retention(items, margin=margin, **options)


@pytest.mark.parametrize(
    ("counts", "ratio", "adjusted"),
    [
        ((25, 50, 0, 25), 25 / 75, 0.0),  # three quarters right fell to guessing
        ((29, 1, 0, 70), 29 / 30, 0.04 / 0.05),  # one point lost, but only five above chance
        ((60, 15, 10, 15), 70 / 75, 0.45 / 0.50),
        ((70, 0, 10, 20), 80 / 70, 0.55 / 0.45),
    ],
)
def test_ratios_equal_the_values_worked_out_by_hand(
    counts: tuple[int, int, int, int], ratio: float, adjusted: float
):
    estimate = _measure(_counted(*counts)).micro
    assert estimate.ratio.value == pytest.approx(ratio)
    assert estimate.chance == 0.25
    assert estimate.difference.value == pytest.approx((counts[2] - counts[1]) / 100)
    if estimate.base - 0.25 >= 0.10:
        assert estimate.adjusted_ratio.value == pytest.approx(adjusted)
    else:
        assert estimate.adjusted_ratio is None


def test_adjusted_ratio_is_defined_from_ten_points_above_chance():
    at_limit = _measure(_counted(35, 0, 0, 65)).micro
    assert at_limit.adjusted_ratio.value == pytest.approx(1.0)
    below = _measure(_counted(34, 0, 0, 66))
    assert below.micro.adjusted_ratio is None
    assert (below.verdict, below.reason) == (Verdict.INCONCLUSIVE, Reason.BASE_NEAR_CHANCE)
    assert below.items_needed is None


def test_macro_weighs_categories_equally_and_micro_weighs_items_equally():
    items = [
        *_counted(80, 0, 0, 20, category="large"),
        *_counted(10, 6, 0, 4, category="small"),
    ]
    retention = _measure(items)
    # base .80 and .80, new .80 and .50, chance .25: macro (.65 - .25) / (.80 - .25)
    assert retention.macro.adjusted_ratio.value == pytest.approx(0.40 / 0.55)
    # 96 and 90 of 120 right
    assert retention.micro.adjusted_ratio.value == pytest.approx((0.75 - 0.25) / (0.80 - 0.25))
    assert retention.worst_category == "small"
    assert [one.category for one in retention.categories] == ["large", "small"]
    assert retention.categories[1].estimate.adjusted_ratio.value == pytest.approx(0.25 / 0.55)


def test_chance_is_the_mean_over_items_with_different_numbers_of_choices():
    items = [
        *_items([1, 1], [1, 1], category="two", num_choices=2),
        *_items([1, 1], [1, 0], category="open", num_choices=None),
    ]
    micro = _measure(items).micro
    assert micro.chance == pytest.approx((0.5 + 0.5 + 0 + 0) / 4)
    assert micro.adjusted_ratio.value == pytest.approx((0.75 - 0.25) / (1.0 - 0.25))


def test_macro_interval_is_fieller_with_welch_degrees_of_freedom():
    """At each end r, the mean of category means of (new - chance) - r * (base - chance) is t
    standard errors from zero; scipy has the test of two unequal samples."""
    rng = np.random.default_rng(5)
    scores = {
        name: (rng.beta(6, 3, size), rng.beta(5, 3, size)) for name, size in (("a", 12), ("b", 40))
    }
    items = [
        item
        for category, (base, new) in scores.items()
        for item in _items(base, new, category=category)
    ]
    interval = _measure(items).macro.adjusted_ratio
    first, second = (
        {r: (new - 0.25) - r * (base - 0.25) for r in (interval.low, interval.high)}
        for base, new in scores.values()
    )
    for r in (interval.low, interval.high):
        p_value = stats.ttest_ind(first[r], -second[r], equal_var=False).pvalue
        # the degrees of freedom are those at the ratio itself, a little off at the ends
        assert p_value == pytest.approx(0.05, abs=0.002)


def test_interval_agrees_with_the_linearised_standard_error():
    """SE(R) = sd(new - R * base) / (sqrt(n) * base), the delta method for a ratio of means."""
    rng = np.random.default_rng(0)
    base = rng.beta(5, 3, size=3000)
    new = np.clip(0.97 * base + rng.normal(0, 0.08, size=3000), 0, 1)
    estimate = _measure(_items(base, new)).micro
    for ratio, interval, chance in (
        (estimate.ratio.value, estimate.ratio, 0.0),
        (estimate.adjusted_ratio.value, estimate.adjusted_ratio, 0.25),
    ):
        residual = (new - chance) - ratio * (base - chance)
        error = residual.std(ddof=1) / (math.sqrt(3000) * (base.mean() - chance))
        assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * error, rel=0.01)


def test_power_is_that_of_the_published_table():
    """MMLU's size, accuracy 0.75, 8% of items flip: +-0.62%; a loss of 0.2% needs about 137,000."""
    flips = round(14_042 * 0.04)
    right = round(14_042 * 0.75) - flips
    items = _counted(right, flips, flips, 14_042 - right - 2 * flips, num_choices=None)
    retention = _measure(items, margin=0.002)
    interval = retention.micro.ratio
    assert (interval.high - interval.low) / 2 == pytest.approx(0.0062, rel=0.08)
    assert (retention.verdict, retention.reason) == (
        Verdict.INCONCLUSIVE,
        Reason.INTERVAL_CROSSES_MARGIN,
    )
    assert retention.items_needed == pytest.approx(137_000, rel=0.15)


@pytest.mark.parametrize("num_items", [1, 3, 100, 491])
def test_unchanged_answers_to_few_items_are_no_pass(num_items: int):
    """It takes -log(.025) / (.01 * .75) = 491.9 items for a loss of the margin to leave a trace."""
    retention = _measure(_counted(num_items, 0, 0, 0, num_choices=4))
    assert (retention.verdict, retention.reason) == (Verdict.INCONCLUSIVE, Reason.TOO_FEW_ITEMS)
    assert (retention.items_needed, retention.items_missing) == (492, 492 - num_items)
    assert _measure(_counted(492, 0, 0, 0)).verdict is Verdict.PASS


def test_small_categories_make_a_macro_pass_harder():
    """995 unchanged items pass together; not with half of the claim resting on 20 of them."""
    assert _measure(_counted(995, 0, 0, 0)).verdict is Verdict.PASS
    split = [
        *_counted(975, 0, 0, 0, category="large"),
        *_counted(20, 0, 0, 0, category="small"),
    ]
    assert _measure(split).reason is Reason.TOO_FEW_ITEMS


def test_few_losses_are_no_fail():
    """Five of forty lost, p = 0.0625."""
    retention = _measure(_counted(35, 5, 0, 0))
    assert (retention.verdict, retention.reason) == (Verdict.INCONCLUSIVE, Reason.TOO_FEW_ITEMS)
    assert _measure(_counted(34, 6, 0, 0)).verdict is Verdict.FAIL


def test_a_clear_gain_passes_on_few_items():
    assert _measure(_counted(60, 0, 20, 20)).verdict is Verdict.PASS


def test_missing_items_are_counted_and_never_a_pass():
    items = _counted(3000, 0, 0, 1000)
    assert _measure(items).verdict is Verdict.PASS
    unscored = RetentionItem(
        item_id="unscored", category="knowledge", base=1.0, new=None, num_choices=4
    )
    retention = _measure([*items, unscored])
    assert (retention.verdict, retention.reason) == (Verdict.INCONCLUSIVE, Reason.ITEMS_MISSING)
    assert (retention.num_missing, retention.micro.num_items) == (1, 4000)
    assert retention.items_needed is None


def test_a_failed_category_stops_a_pass_of_the_average():
    items = [
        *_counted(750, 0, 60, 190, category="a"),
        *_counted(750, 0, 60, 190, category="b"),
        *_counted(700, 50, 0, 250, category="c"),
    ]
    retention = _measure(items)
    assert retention.macro.adjusted_ratio.low > 0.99
    assert (retention.verdict, retention.reason) == (Verdict.INCONCLUSIVE, Reason.CATEGORY_FAILED)
    assert [one.verdict for one in retention.categories] == ["PASS", "PASS", "FAIL"]
    # three categories share the error rate of 5%
    assert retention.categories[0].estimate.ratio.level == pytest.approx(1 - 0.05 / 3)


def test_clusters_are_what_is_resampled():
    rng = np.random.default_rng(0)
    base, new = [], []
    for _ in range(200):  # each passage of ten questions is lost, won or kept as a whole
        kind = rng.choice(4, p=[0.65, 0.1, 0.1, 0.15])
        base += [float(kind <= 1)] * 10
        new += [float(kind in (0, 2))] * 10
    names = [f"passage-{index // 10}" for index in range(2000)]
    items = _measure(_items(base, new)).micro
    clusters = _measure(_items(base, new, clusters=names)).micro
    assert (items.num_units, clusters.num_units, clusters.num_items) == (2000, 200, 2000)
    widening = [
        clusters_interval.high - clusters_interval.low
        for clusters_interval in (clusters.ratio, items.ratio)
    ]
    assert widening[0] / widening[1] == pytest.approx(math.sqrt(10), rel=0.2)


def test_too_few_clusters_decide_nothing():
    base = [1.0] * 1500 + [0.0] * 500
    names = [f"subject-{index % 19}" for index in range(2000)]
    retention = _measure(_items(base, base, clusters=names))
    assert retention.reason is Reason.TOO_FEW_CLUSTERS
    assert (retention.items_needed, retention.clusters_needed) == (None, 20)
    alone = _measure(_items(base, base, clusters=["subject"] * 2000))
    assert alone.macro.ratio.interval is None
    assert alone.verdict is Verdict.INCONCLUSIVE


def test_unchanged_items_in_clusters_pass_by_items_and_not_by_clusters():
    """57 clusters: by a rule of three asked of clusters no benchmark could ever pass."""
    base = [float(index % 5 < 3) for index in range(14_022)]
    names = [f"subject-{index % 57}" for index in range(14_022)]
    retention = _measure(_items(base, base, clusters=names))
    assert (retention.verdict, retention.macro.num_units) == (Verdict.PASS, 57)
    assert retention.design_effect == pytest.approx(1 + 0.005 * 245)
    assert retention.effective_items == pytest.approx(14_022 / retention.design_effect)
    low = 1 + math.log(0.025) / retention.effective_items / (0.6 - 0.25)
    assert retention.macro.adjusted_ratio.low == pytest.approx(low, abs=1e-5)


def _with_a_collapsed_subject(num_collapsed: int, num_won: int = 0) -> list[RetentionItem]:
    """14,022 items, 60% right; of the first of 57 subjects so many that were right are lost, and
    of all others together so many that were wrong are won."""
    base = np.array([float(index // 57 % 5 < 3) for index in range(14_022)])
    new = base.copy()
    new[np.flatnonzero((np.arange(14_022) % 57 == 0) & (base == 1))[:num_collapsed]] = 0.0
    new[np.flatnonzero((np.arange(14_022) % 57 > 0) & (base == 0))[:num_won]] = 1.0
    names = [f"subject-{index % 57:02d}" for index in range(14_022)]
    return _items(base, new, clusters=names)


@pytest.mark.slow
def test_a_collapsed_subject_never_passes_unmentioned():
    for margin in (0.01, 0.03, 0.1, 0.3):
        retention = _measure(_with_a_collapsed_subject(85), margin=margin)
        assert retention.verdict is not Verdict.PASS
        worst = retention.worst_cluster
        assert (worst.cluster, worst.num_items) == ("subject-00", 246)
        assert (worst.regressed, worst.gained) == (85, 0)
    assert retention.reason is Reason.CLUSTER_FAILED
    # nor when the others win as much, so that the average has not moved
    hidden = _measure(_with_a_collapsed_subject(85, num_won=85), margin=0.2)
    assert hidden.macro.difference.value == 0.0
    assert hidden.macro.adjusted_ratio.low > 0.8
    assert (hidden.verdict, hidden.reason) == (Verdict.INCONCLUSIVE, Reason.CLUSTER_FAILED)
    assert hidden.worst_cluster.cluster == "subject-00"
    # a few losses of one subject are named too, and do not stop a pass
    few = _measure(_with_a_collapsed_subject(5), margin=0.03)
    assert few.verdict is Verdict.PASS
    assert few.worst_cluster.cluster == "subject-00"
    assert few.worst_cluster.adjusted_p == 1.0
    assert _measure(_with_a_collapsed_subject(0)).worst_cluster is None


def test_flips_are_counted_with_the_exact_interval_of_their_rate():
    retention = _measure(_counted(700, 40, 10, 250))
    flips = retention.flips
    assert (flips.regressed, flips.gained) == (40, 10)
    assert (flips.regressed_rate.value, flips.gained_rate) == (0.04, 0.01)
    assert flips.gained_rate - flips.regressed_rate.value == pytest.approx(
        retention.micro.difference.value
    )
    expected = stats.binomtest(40, 1000).proportion_ci(method="exact")
    assert flips.regressed_rate.low == pytest.approx(expected.low)
    assert flips.regressed_rate.high == pytest.approx(expected.high)
    assert flips.mcnemar_p == pytest.approx(2.386e-05, rel=1e-3)  # 2 * P(X <= 10), X ~ Bin(50, .5)
    assert (flips.nulls, flips.null_flip_rate, flips.exceeds_null) == ((), None, None)


def test_flips_exceed_a_null_only_interval_to_interval():
    """40 of 1,000 lost, [2.87%, 5.41%]; a null of 1% is below it only when it is known well."""
    lost = _counted(700, 40, 10, 250)
    of_many = measure_flip_null("numerical", _counted(2_950, 40, 40, 970))
    of_few = measure_flip_null("prompt", _counted(74, 1, 1, 24))
    assert (of_many.rate.value, of_many.rate.n) == (0.01, 4_000)
    assert (of_few.rate.value, of_few.rate.n) == (0.01, 100)
    assert of_many.rate.high < 0.0287 < of_few.rate.high
    assert _measure(lost, nulls=[of_many]).flips.exceeds_null is True
    assert _measure(lost, nulls=[of_few]).flips.exceeds_null is False
    both = _measure(lost, nulls=[of_many, of_few]).flips
    assert (both.exceeds_null, both.null_flip_rate) == (False, 0.01)
    assert [null.name for null in both.nulls] == ["numerical", "prompt"]
    single = FlipNull(
        name="prompt",
        rate=of_few.rate.model_copy(update={"low": None, "high": None, "level": None}),
    )
    assert exceeds(of_many.rate, single.rate) is None
    assert _measure(lost, nulls=[of_many, single]).flips.exceeds_null is None


def test_continuous_scores_have_a_ratio_and_a_difference_but_no_flips():
    rng = np.random.default_rng(0)
    base = rng.beta(4, 2, size=4000)
    retention = _measure(_items(base, 0.9 * base))
    assert retention.flips is None
    assert retention.macro.ratio.value == pytest.approx(0.9)
    interval = retention.macro.difference
    assert interval.low < interval.value < interval.high < 0
    assert retention.verdict is Verdict.FAIL
    assert _measure(_items(base, base)).verdict is Verdict.PASS


def test_the_order_of_the_items_changes_nothing():
    items = [
        *_counted(100, 8, 3, 60, category="a"),
        *_counted(70, 2, 5, 40, category="b"),
    ]
    assert _measure(items) == _measure(items[::-1])


@pytest.mark.parametrize("margin", [0.0, 1.0, -0.1, math.nan])
def test_a_margin_out_of_range_is_refused(margin: float):
    with pytest.raises(SpecError, match="margin is"):
        _measure(_counted(1, 0, 0, 0), margin=margin)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": 1.5}, "base score is 1.5"),
        ({"new": math.nan}, "new score is nan"),
        ({"num_choices": 1}, "num_choices is 1"),
        ({"item_id": "knowledge-000000"}, "'knowledge-000000' occurs twice"),
    ],
)
def test_a_bad_item_is_refused_by_id(changes: dict[str, object], message: str):
    good = {"item_id": "x", "category": "knowledge", "base": 1.0, "new": 1.0, "num_choices": 4}
    with pytest.raises(DataError, match=message) as caught:
        _measure([*_counted(2, 0, 0, 0), RetentionItem(**{**good, **changes})])
    assert caught.value.code == "data.row_invalid"


def test_nothing_to_compare_is_refused():
    with pytest.raises(DataError) as caught:
        _measure([])
    assert caught.value.code == "data.empty"
    with pytest.raises(EvaluationError, match="none of the 1 items") as differ:
        _measure([RetentionItem(item_id="a", category="c", base=None, new=1.0)])
    assert differ.value.code == "eval.items_differ"

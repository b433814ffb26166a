"""Retention on planted cases: the ratio, its interval and the verdict are known beforehand."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.contracts.evaluation_results import RetentionResults
from pipeline.errors import DataError, EvaluationError, SpecError
from pipeline.metrics.noninferiority import Reason, Verdict
from pipeline.metrics.retention import RetentionItem, measure_retention


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
    return measure_retention(items, margin=margin, **{"num_resamples": 1000, **options})


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


def test_macro_interval_equals_the_enumeration_of_every_draw_within_each_category():
    scores = {
        "a": ([0.9, 0.4, 0.7], [0.7, 0.5, 0.8]),
        "b": ([0.8, 0.6], [0.9, 0.3]),
    }
    items = [
        item
        for category, (base, new) in scores.items()
        for item in _items(base, new, category=category)
    ]
    ratios = []
    for draw_a in itertools.product(range(3), repeat=3):
        for draw_b in itertools.product(range(2), repeat=2):
            base, new = (
                (
                    np.take(scores["a"][model], draw_a).mean()
                    + np.take(scores["b"][model], draw_b).mean()
                )
                / 2
                for model in (0, 1)
            )
            ratios.append((new - 0.25) / (base - 0.25))
    ratios.sort()
    tail = math.floor(0.025 * len(ratios))

    interval = _measure(items, num_resamples=50_000).macro.adjusted_ratio

    assert (interval.low, interval.high) == pytest.approx(
        (ratios[tail], ratios[-1 - tail]), abs=0.004
    )


def test_interval_agrees_with_the_linearised_standard_error():
    """SE(R) = sd(new - R * base) / (sqrt(n) * base), the delta method for a ratio of means."""
    rng = np.random.default_rng(0)
    base = rng.beta(5, 3, size=3000)
    new = np.clip(0.97 * base + rng.normal(0, 0.08, size=3000), 0, 1)
    estimate = _measure(_items(base, new), num_resamples=4000).micro
    for ratio, interval, chance in (
        (estimate.ratio.value, estimate.ratio, 0.0),
        (estimate.adjusted_ratio.value, estimate.adjusted_ratio, 0.25),
    ):
        residual = (new - chance) - ratio * (base - chance)
        error = residual.std(ddof=1) / (math.sqrt(3000) * (base.mean() - chance))
        assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * error, rel=0.06)


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


def _planted(n: int, loss: float, seed: int) -> list[RetentionItem]:
    """Base accuracy 0.75, 4% of items flip, `loss` more of them downwards, four categories."""
    rng = np.random.default_rng(seed)
    lost, won = (0.04 + loss) / 2, (0.04 - loss) / 2
    kind = rng.choice(4, size=n, p=[0.75 - lost, lost, won, 0.25 - won])
    base, new = (kind <= 1).astype(float), ((kind == 0) | (kind == 2)).astype(float)
    return [
        item
        for index in range(4)
        for item in _items(base[index::4], new[index::4], category=f"topic-{index}")
    ]


@pytest.mark.parametrize(
    ("n", "loss", "verdict", "at_least"),
    [
        (2_000, 0.03, Verdict.FAIL, 9),
        pytest.param(20_000, 0.0, Verdict.PASS, 9, marks=pytest.mark.slow),
        (200, 0.0, Verdict.INCONCLUSIVE, 9),
    ],
)
def test_planted_losses_get_their_verdict(n: int, loss: float, verdict: Verdict, at_least: int):
    verdicts = [_measure(_planted(n, loss, seed), num_resamples=500).verdict for seed in range(10)]
    assert verdicts.count(verdict) >= at_least


@pytest.mark.parametrize("num_items", [1, 3, 100, 490])
def test_unchanged_answers_to_few_items_are_no_pass(num_items: int):
    """The bootstrap interval is [1, 1]; it takes log(.025) / log(1 - .01 * .75) = 490.04 items."""
    retention = _measure(_counted(num_items, 0, 0, 0, num_choices=4))
    assert (retention.verdict, retention.reason) == (Verdict.INCONCLUSIVE, Reason.TOO_FEW_ITEMS)
    if num_items > 1:
        assert retention.items_needed == 491
        assert _measure(_counted(491, 0, 0, 0)).verdict is Verdict.PASS


def test_small_categories_make_a_macro_pass_harder():
    """995 unchanged items pass together; not with half of the claim resting on 20 of them."""
    assert _measure(_counted(995, 0, 0, 0)).verdict is Verdict.PASS
    split = [
        *_counted(975, 0, 0, 0, category="large"),
        *_counted(20, 0, 0, 0, category="small"),
    ]
    assert _measure(split).reason is Reason.TOO_FEW_ITEMS


def test_few_losses_are_no_fail():
    """Five of forty lost: the bootstrap excludes 0.99, the exact test (p = 0.0625) does not."""
    retention = _measure(_counted(35, 5, 0, 0))
    assert retention.macro.adjusted_ratio.high < 0.99
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
    for _ in range(40):  # each passage of ten questions is lost, won or kept as a whole
        kind = rng.choice(4, p=[0.65, 0.1, 0.1, 0.15])
        base += [float(kind <= 1)] * 10
        new += [float(kind in (0, 2))] * 10
    names = [f"passage-{index // 10}" for index in range(400)]
    items = _measure(_items(base, new)).micro
    clusters = _measure(_items(base, new, clusters=names)).micro
    assert (items.num_units, clusters.num_units, clusters.num_items) == (400, 40, 400)
    widening = [
        clusters_interval.high - clusters_interval.low
        for clusters_interval in (clusters.ratio, items.ratio)
    ]
    assert widening[0] / widening[1] == pytest.approx(math.sqrt(10), rel=0.2)


def test_too_few_clusters_decide_nothing():
    base = [1.0] * 1500 + [0.0] * 500
    names = [f"subject-{index % 19}" for index in range(2000)]
    retention = _measure(_items(base, base, clusters=names))
    assert retention.reason is Reason.TOO_FEW_ITEMS
    alone = _measure(_items(base, base, clusters=["subject"] * 2000))
    assert alone.macro.ratio.interval is None
    assert alone.verdict is Verdict.INCONCLUSIVE


def test_flips_stand_beside_the_null():
    retention = _measure(_counted(700, 40, 10, 250), null_flip_rate=0.01)
    flips = retention.flips
    assert (flips.regressed, flips.gained) == (40, 10)
    assert (flips.regressed_rate.value, flips.gained_rate) == (0.04, 0.01)
    assert flips.gained_rate - flips.regressed_rate.value == pytest.approx(
        retention.micro.difference.value
    )
    assert flips.regressed_rate.low < 0.04 < flips.regressed_rate.high
    assert flips.exceeds_null is True
    assert flips.mcnemar_p == pytest.approx(2.386e-05, rel=1e-3)  # 2 * P(X <= 10), X ~ Bin(50, .5)
    assert _measure(_counted(700, 40, 10, 250), null_flip_rate=0.035).flips.exceeds_null is False
    assert _measure(_counted(700, 40, 10, 250)).flips.exceeds_null is None


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
    items = _planted(400, 0.01, seed=1)
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

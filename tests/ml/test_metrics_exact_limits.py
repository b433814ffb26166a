"""Limits of rare changes against exact ones, and the design effect against copies of items."""

import math

import numpy as np
import pytest
from scipy import stats

from pipeline.metrics.exact_limits import (
    ASSUMED_CORRELATION,
    MIN_CHANGES,
    Changes,
    changes_of,
    share_interval,
)


def _changes(moves, *, units=None, strata=None, weights=None, bounds=(-1.0, 1.0)) -> Changes:
    moves = np.asarray(moves, dtype=np.float64)
    n = len(moves)
    found = changes_of(
        moves,
        weights=np.full(n, 1.0 / n) if weights is None else weights,
        units=np.arange(n) if units is None else np.asarray(units),
        strata=np.zeros(n, dtype=np.intp) if strata is None else np.asarray(strata),
        bounds=bounds,
    )
    assert found is not None
    return found


def _flips(n: int, lost: int, won: int, **options) -> Changes:
    return _changes([-1.0] * lost + [1.0] * won + [0.0] * (n - lost - won), **options)


@pytest.mark.parametrize("n", [50, 1_000, 14_022])
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_unchanged_items_leave_room_for_the_rule_of_three(n: int, level: float):
    """A loss rate above it would have left a trace, but for half the error rate."""
    below, above = _flips(n, 0, 0).reach(level)
    assert below == above == pytest.approx(-math.log((1 - level) / 2) / n)


@pytest.mark.parametrize("lost", [1, 3, 10, 60])
def test_losses_alone_have_the_exact_limits_of_a_poisson_count(lost: int):
    """Garwood 1936, by scipy's chi-square; of 20,000 items the shared variance is nothing."""
    below, above = _flips(20_000, lost, 0).reach(0.95)
    high = stats.chi2.ppf(0.975, 2 * lost + 2) / 2
    low = stats.chi2.ppf(0.025, 2 * lost) / 2
    assert below * 20_000 == pytest.approx(high - lost, rel=2e-3)
    # above, nothing won leaves room for -log(.025) wins; both directions are independent
    assert above * 20_000 == pytest.approx(math.hypot(-math.log(0.025), lost - low), rel=2e-3)


def test_many_flips_have_the_limits_of_the_normal_distribution():
    below, above = _flips(100_000, 3_000, 3_000).reach(0.95)
    assert below == above == pytest.approx(1.96 * math.sqrt(6_000) / 100_000, rel=0.02)


def test_the_reach_is_that_of_the_true_rate_where_flips_are_poisson():
    """By enumeration, not simulation: losses of rate 4 and wins of rate 2 among 2,000 items."""
    n, missed = 2_000, [0.0, 0.0]
    for lost in range(25):
        for won in range(20):
            probability = stats.poisson.pmf(lost, 4) * stats.poisson.pmf(won, 2)
            below, above = _flips(n, lost, won).reach(0.95)
            truth, seen = -2 / n, (won - lost) / n
            missed[0] += probability * (truth < seen - below)
            missed[1] += probability * (truth > seen + above)
    assert max(missed) <= 0.025


def test_a_copied_item_counts_once():
    """Each cluster is one item ten times over: the design effect is ten, the reach that of one."""
    alone = _flips(300, 20, 10)
    copies = _changes(np.repeat(alone.moves, 10), units=np.repeat(np.arange(300), 10))
    assert copies.effective_items == pytest.approx(3_000)
    assert copies.crowding == pytest.approx(10)
    assert copies.design_effect == pytest.approx(10, rel=0.02)
    assert copies.correlation == pytest.approx(1.0)
    for ours, single in zip(copies.reach(0.95), alone.reach(0.95), strict=True):
        assert ours == pytest.approx(single, rel=0.02)


def test_few_changes_are_not_trusted_to_measure_a_design_effect():
    units = np.arange(5_000) % 50
    unchanged = _changes(np.zeros(5_000), units=units)
    assert unchanged.design_effect == pytest.approx(1 + ASSUMED_CORRELATION * 99)
    spread = np.zeros(5_000)
    spread[: MIN_CHANGES - 1] = -1.0  # each in another cluster
    assert _changes(spread, units=units).design_effect == unchanged.design_effect
    spread[:MIN_CHANGES] = -1.0
    assert _changes(spread, units=units).design_effect == 1.0
    lumped = np.zeros(5_000)
    lumped[np.flatnonzero(units == 7)[: MIN_CHANGES - 1]] = -1.0  # all in one: it is believed
    assert _changes(lumped, units=units).design_effect > 15


def test_a_small_category_makes_the_mean_of_categories_less_sure():
    """975 and 20 items, each category half of the mean: as sure as 78 items."""
    weights = np.repeat([0.5 / 975, 0.5 / 20], [975, 20])
    changes = _changes(np.zeros(995), weights=weights, strata=np.repeat([0, 1], [975, 20]))
    assert changes.effective_items == pytest.approx(4 / (1 / 975 + 1 / 20))
    assert changes.reach(0.95)[0] == pytest.approx(-math.log(0.025) / changes.effective_items)


def test_what_most_items_share_need_not_be_zero():
    gains = np.full(60, 0.1)
    gains[:4] = 0.4
    changes = _changes(gains)
    assert changes.num_changed == 4
    assert changes.moves[:5] == pytest.approx([0.3] * 4 + [0.0])
    assert changes.room == pytest.approx((1.1, 0.9))
    gains[4] = 0.2  # after five sizes the largest stands for those not seen
    assert _changes(gains).room == pytest.approx((0.3, 0.3))


def test_where_most_items_differ_there_are_no_rare_changes():
    few = np.zeros(9)
    assert _changes([*few, *np.arange(1, 10) / 10]).num_changed == 9
    arguments = {"weights": np.full(9, 1 / 9), "units": np.arange(9), "strata": np.zeros(9, int)}
    differing = np.arange(9) / 10
    assert changes_of(differing, bounds=(-1.0, 1.0), **arguments) is None
    assert changes_of(few, bounds=(0.0, math.inf), **arguments) is None  # nothing bounds a length
    few[0] = 3.0
    assert changes_of(few, bounds=(0.0, math.inf), **arguments).room == (0.0, 3.0)


@pytest.mark.parametrize(("ones", "n"), [(0, 30), (1, 30), (15, 30), (29, 30), (30, 30), (7, 900)])
def test_shares_have_the_exact_interval_of_scipy(ones: int, n: int):
    events = _changes([1.0] * ones + [0.0] * (n - ones), bounds=(0.0, 1.0))
    expected = stats.binomtest(ones, n).proportion_ci(method="exact")
    assert share_interval(events, ones / n, 0.95) == pytest.approx((expected.low, expected.high))

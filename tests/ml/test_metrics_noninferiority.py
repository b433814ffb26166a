"""The verdict at its boundaries, on evidence given by hand."""

import math

import numpy as np
import pytest

from pipeline.contracts.estimates import Estimate
from pipeline.contracts.evaluation_results import Reason
from pipeline.contracts.verdicts import Verdict
from pipeline.metrics.exact_limits import ASSUMED_CORRELATION, Changes
from pipeline.metrics.noninferiority import Evidence, judge, needed


def _evidence(
    low: float,
    high: float,
    *,
    ratio: float = 1.0,
    num_items: int = 1000,
    num_units: int | None = None,
    units_in_category: tuple[int, ...] | None = None,
    flips: tuple[int, int] | None = None,
) -> Evidence:
    num_units = num_units or num_items
    return Evidence(
        adjusted_ratio=Estimate(
            value=ratio,
            low=low,
            high=high,
            level=0.95,
            n=num_items,
            num_units=num_units,
            resampled="item" if num_units == num_items else "cluster",
        ),
        headroom=0.5,
        changes=Changes(
            moves=np.zeros(num_items),
            weights=np.full(num_items, 1.0 / num_items),
            units=np.arange(num_items) % num_units,
            strata=np.zeros(num_items, dtype=np.intp),
            room=(1.0, 1.0),
        ),
        units_in_category=units_in_category or (num_units,),
        flips=flips,
        level=0.95,
    )


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.99, 1.01, Verdict.PASS),
        (0.9899, 1.01, Verdict.INCONCLUSIVE),
        (0.97, 0.99, Verdict.INCONCLUSIVE),
        (0.97, 0.9899, Verdict.FAIL),
    ],
)
def test_pass_needs_the_lower_bound_and_fail_the_upper(low: float, high: float, verdict: Verdict):
    assert judge(_evidence(low, high), margin=0.01)[0] is verdict


def test_nineteen_units_decide_nothing_whatever_their_interval():
    few = _evidence(1.0, 1.01, num_items=19)
    assert judge(few, 0.01) == (Verdict.INCONCLUSIVE, Reason.TOO_FEW_ITEMS)
    clusters = _evidence(1.0, 1.01, num_items=190, num_units=19)
    assert judge(clusters, 0.01) == (Verdict.INCONCLUSIVE, Reason.TOO_FEW_CLUSTERS)
    assert needed(clusters, 0.01, Reason.TOO_FEW_CLUSTERS) == (None, 20)
    assert judge(_evidence(1.0, 1.01, num_items=200, num_units=20), 0.01)[0] is Verdict.PASS


def test_four_clusters_of_a_category_decide_nothing_however_many_the_others_have():
    few = _evidence(1.0, 1.01, num_units=60, units_in_category=(4, 3, 53))
    assert judge(few, 0.01) == (Verdict.INCONCLUSIVE, Reason.TOO_FEW_CLUSTERS)
    assert needed(few, 0.01, Reason.TOO_FEW_CLUSTERS) == (None, 63)
    enough = _evidence(1.0, 1.01, num_units=60, units_in_category=(5, 5, 50))
    assert judge(enough, 0.01)[0] is Verdict.PASS


def test_five_losses_are_no_fail_and_six_are():
    """Exact: 2 * 0.5 ** 5 is above 5%."""
    assert judge(_evidence(0.9, 0.98, flips=(5, 0)), 0.01)[1] is Reason.TOO_FEW_ITEMS
    assert judge(_evidence(0.9, 0.98, flips=(6, 0)), 0.01)[0] is Verdict.FAIL


@pytest.mark.parametrize(
    ("ratio", "low", "high", "settling"),
    [
        (1.0, 0.98, 1.03, 4000),  # the bound is twice as far below as the margin
        (0.985, 0.95, 1.0, 9000),  # below the margin the upper bound decides: (.015 / .005) ** 2
        (0.99, 0.95, 1.03, None),  # exactly on the margin no number of items helps
    ],
)
def test_items_needed_bring_the_nearer_bound_to_the_margin(
    ratio: float, low: float, high: float, settling: int | None
):
    evidence = _evidence(low, high, ratio=ratio)
    items, clusters = needed(evidence, 0.01, Reason.INTERVAL_CROSSES_MARGIN)
    assert clusters is None
    assert items == pytest.approx(settling, abs=1) if settling else items is None


def test_too_few_items_need_those_that_would_have_shown_a_loss_of_the_margin():
    """exp(-n * .01 * .5) = .025"""
    few = _evidence(0.98, 1.02, num_items=500, flips=(0, 0))
    assert judge(few, 0.01) == (Verdict.INCONCLUSIVE, Reason.TOO_FEW_ITEMS)
    assert needed(few, 0.01, Reason.TOO_FEW_ITEMS) == (738, None)
    assert math.exp(-738 * 0.005) < 0.025 < math.exp(-737 * 0.005)


def test_items_are_asked_for_only_where_they_help():
    """Items added to the same clusters count for less and less; new clusters always count."""
    evidence = _evidence(0.98, 1.02, num_items=500, num_units=50, flips=(0, 0))
    items, clusters = needed(evidence, 0.01, Reason.TOO_FEW_ITEMS)
    assert clusters is None
    # n items in 50 clusters are as sure as n / (1 + rho * (n / 50 - 1)) that stand alone
    assert items / (1 + ASSUMED_CORRELATION * (items / 50 - 1)) == pytest.approx(738, abs=1)
    lumped = np.zeros(500)
    lumped[np.flatnonzero(evidence.changes.units < 5)] = -1.0  # clusters lost as a whole
    few = Evidence(
        adjusted_ratio=evidence.adjusted_ratio,
        headroom=0.5,
        changes=Changes(
            moves=lumped,
            weights=evidence.changes.weights,
            units=evidence.changes.units,
            strata=evidence.changes.strata,
            room=(1.0, 1.0),
        ),
        units_in_category=(50,),
        flips=(50, 0),
        level=0.95,
    )
    assert few.changes.correlation == pytest.approx(1.0)
    assert needed(few, 0.01, Reason.INTERVAL_CROSSES_MARGIN) == (None, 200)  # (.02 / .01) ** 2


def test_nothing_is_needed_where_items_are_not_the_remedy():
    for reason in (
        Reason.INTERVAL,
        Reason.ITEMS_MISSING,
        Reason.CATEGORY_FAILED,
        Reason.CLUSTER_FAILED,
    ):
        assert needed(_evidence(0.99, 1.01), 0.01, reason) == (None, None)

"""The verdict at its boundaries, on evidence given by hand."""

import dataclasses

import pytest

from pipeline.metrics.noninferiority import Evidence, Reason, Verdict, items_needed, judge
from pipeline.metrics.uncertainty import Interval

SCORES = Evidence(
    adjusted_ratio=1.0,
    interval=Interval(low=0.99, high=1.01, level=0.95),
    headroom=0.5,
    num_items=1000,
    num_units=1000,
    effective_units=1000.0,
    flips=None,
)


def _with_interval(low: float, high: float, **changes) -> Evidence:
    return dataclasses.replace(SCORES, interval=Interval(low=low, high=high, level=0.95), **changes)


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
    assert judge(_with_interval(low, high), margin=0.01)[0] is verdict


def test_nineteen_units_decide_nothing_whatever_their_interval():
    evidence = _with_interval(1.0, 1.0, num_units=19, num_items=190, effective_units=19.0)
    assert judge(evidence, 0.01) == (Verdict.INCONCLUSIVE, Reason.TOO_FEW_ITEMS)
    assert judge(dataclasses.replace(evidence, num_units=20), 0.01)[0] is Verdict.PASS


@pytest.mark.parametrize(
    ("ratio", "low", "high", "needed"),
    [
        (1.0, 0.98, 1.03, 4000),  # the bound is twice as far below as the margin
        (0.985, 0.95, 1.0, 9000),  # below the margin the upper bound decides: (.015 / .005) ** 2
        (0.99, 0.95, 1.03, None),  # exactly on the margin no number of items helps
    ],
)
def test_items_needed_bring_the_nearer_bound_to_the_margin(
    ratio: float, low: float, high: float, needed: int | None
):
    evidence = _with_interval(low, high, adjusted_ratio=ratio)
    found = items_needed(evidence, 0.01, Reason.INTERVAL_CROSSES_MARGIN)
    assert found == pytest.approx(needed, abs=1) if needed else found is None


def test_nothing_is_needed_where_items_are_not_the_remedy():
    for reason in (Reason.INTERVAL, Reason.ITEMS_MISSING, Reason.CATEGORY_FAILED):
        assert items_needed(SCORES, 0.01, reason) is None

"""The verdict at its boundaries, on evidence given by hand."""

import pytest

from pipeline.contracts.estimates import Estimate
from pipeline.contracts.evaluation_results import Reason, Verdict
from pipeline.metrics.noninferiority import Evidence, items_needed, judge


def _evidence(
    low: float,
    high: float,
    *,
    ratio: float = 1.0,
    num_items: int = 1000,
    num_units: int = 1000,
    effective_units: float = 1000.0,
) -> Evidence:
    return Evidence(
        adjusted_ratio=Estimate(
            value=ratio, low=low, high=high, level=0.95, n=num_items, num_units=num_units
        ),
        headroom=0.5,
        effective_units=effective_units,
        flips=None,
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
    few = _evidence(1.0, 1.0, num_units=19, num_items=190, effective_units=19.0)
    assert judge(few, 0.01) == (Verdict.INCONCLUSIVE, Reason.TOO_FEW_ITEMS)
    enough = _evidence(1.0, 1.0, num_units=20, num_items=190, effective_units=19.0)
    assert judge(enough, 0.01)[0] is Verdict.PASS


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
    evidence = _evidence(low, high, ratio=ratio)
    found = items_needed(evidence, 0.01, Reason.INTERVAL_CROSSES_MARGIN)
    assert found == pytest.approx(needed, abs=1) if needed else found is None


def test_nothing_is_needed_where_items_are_not_the_remedy():
    for reason in (Reason.INTERVAL, Reason.ITEMS_MISSING, Reason.CATEGORY_FAILED):
        assert items_needed(_evidence(0.99, 1.01), 0.01, reason) is None

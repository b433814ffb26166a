"""A small part, with fixed seeds, of `python -m bench verdicts` and `python -m bench coverage`."""

import pytest

from bench import coverage, verdicts
from bench.planted.verdict_cases import measured
from pipeline.contracts.verdicts import Verdict

VERDICTS = verdicts.cases()
AT_MARGIN = [case for case in VERDICTS if case.name.startswith("at the margin") and case.holds]
SURE = [case for case in VERDICTS if case.holds and case not in AT_MARGIN]
COVERED = coverage.cases()


@pytest.mark.slow
@pytest.mark.parametrize("case", SURE, ids=lambda case: f"{case.name}, {case.shape.name}")
def test_what_is_sure_is_said(case: verdicts.Case):
    """Of twenty draws; a share of 95% may miss two of them."""
    results = measured(case.shape, case.planted, case.margin, repeats=20, seed=5)
    if case.name.startswith("6% lost"):
        assert verdicts.share_of(results, Verdict.FAIL) >= 0.9
    else:
        assert case.holds(results)


@pytest.mark.parametrize("case", AT_MARGIN[1:3], ids=lambda case: f"{case.name}, {case.shape.name}")
def test_a_loss_at_the_margin_hardly_ever_passes(case: verdicts.Case):
    """Of 100 draws: 2.5% is exceeded by 8 in one seed of a thousand."""
    results = measured(case.shape, case.planted, case.margin, repeats=100, seed=6)
    assert verdicts.share_of(results, Verdict.PASS) < 0.08


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", COVERED[::13], ids=lambda case: f"{case.name}, {case.figure}, {case.num_units}"
)
def test_intervals_hold_the_truth_about_as_often_as_they_say(case: coverage.Case):
    """200 draws: three standard errors are 4.6 points."""
    found = coverage.coverage(case, repeats=200, seed=7)
    assert case.band[0] - 0.046 <= found.covered <= case.band[1] + 0.046
    assert found.num_without == 0


def test_the_percentile_bootstrap_is_what_did_not():
    """Thirty units, one in twenty of which gains: it misses far more often than it says."""
    rare = next(case for case in COVERED if case.name == "one in twenty gains")
    assert coverage.rival_coverage(rare, repeats=200, seed=8).covered < 0.88
    assert coverage.coverage(rare, repeats=200, seed=8).covered > 0.93

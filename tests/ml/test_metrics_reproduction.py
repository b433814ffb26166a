"""A share beside a published one: scipy's exact interval, and words that follow from it."""

import numpy as np
import pytest
from scipy.stats import binomtest

from pipeline.metrics.reproduction import exact_interval, reproduced


def test_the_interval_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    cases = [(0, 1), (1, 1), (0, 300), (300, 300), (4, 300)]
    for _ in range(200):
        n = int(rng.integers(1, 20_000))
        cases.append((int(rng.integers(0, n + 1)), n))
    for num_right, n in cases:
        expected = binomtest(num_right, n).proportion_ci(method="exact")
        assert exact_interval(num_right, n) == pytest.approx(expected, abs=1e-9)


def test_a_score_worked_out_by_hand() -> None:
    """None of 300: the upper bound is 1 - .025 ** (1 / 300) = 1.2%."""
    found = reproduced(0, 300, published=0.014, rounding=0.0005)
    assert found.ours.value == 0.0
    assert (found.ours.low, found.ours.n, found.ours.level) == (0.0, 300, 0.95)
    assert found.ours.high == pytest.approx(1 - 0.025 ** (1 / 300))
    assert found.difference.value == pytest.approx(-0.014)
    assert found.difference.low == pytest.approx(-0.014)
    assert not found.agrees


def test_rounding_of_the_published_score_counts() -> None:
    low, high = exact_interval(200, 300)
    for published, rounding, agrees in (
        (high + 0.0004, 0.0005, True),
        (high + 0.0006, 0.0005, False),
        (low - 0.0004, 0.0005, True),
        (low - 0.0006, 0.0005, False),
        (0.66, 0.0, True),
    ):
        assert reproduced(200, 300, published=published, rounding=rounding).agrees == agrees

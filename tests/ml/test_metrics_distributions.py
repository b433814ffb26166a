"""The quantiles that intervals ask for, in closed form and against scipy's distributions."""

import math

import pytest
from scipy import stats

from pipeline.metrics.distributions import beta_quantile, gamma_quantile, student_quantile


@pytest.mark.parametrize("probability", [1e-6, 0.025, 0.5, 0.975, 1 - 1e-6])
@pytest.mark.parametrize("size", [0.5, 1.0, 7.5, 1e4, 1e7])
def test_arguments_stand_in_the_order_of_the_distribution(probability: float, size: float) -> None:
    assert student_quantile(probability, size) == pytest.approx(
        stats.t.ppf(probability, size), rel=1e-7, abs=1e-9
    )
    assert gamma_quantile(probability, size) == pytest.approx(
        stats.gamma.ppf(probability, size), rel=1e-7
    )
    assert beta_quantile(probability, size, 3.0) == pytest.approx(
        stats.beta.ppf(probability, size, 3.0), rel=1e-6
    )


def test_the_ends_of_the_families_are_known_in_closed_form() -> None:
    assert student_quantile(0.975, math.inf) == pytest.approx(1.959964, abs=1e-6)
    assert student_quantile(0.75, 1.0) == pytest.approx(1.0)  # Cauchy
    assert student_quantile(0.5, 7.0) == pytest.approx(0.0, abs=1e-15)
    assert gamma_quantile(0.975, 1.0) == pytest.approx(-math.log(0.025))  # the rule of three
    assert beta_quantile(0.2, 1.0, 1.0) == pytest.approx(0.2)

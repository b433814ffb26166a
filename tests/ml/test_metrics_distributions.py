"""Quantiles against scipy, over every shape that an interval can ask for."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.metrics.distributions import (
    beta_quantile,
    gamma_quantile,
    student_quantile,
)

PROBABILITIES = st.floats(1e-6, 1 - 1e-6)
COUNTS = st.floats(0.01, 1e4)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(probability=PROBABILITIES, degrees=st.floats(1.0, 1e7))
def test_student_quantiles_are_those_of_scipy(probability: float, degrees: float):
    expected = stats.t.ppf(probability, degrees)
    assert student_quantile(probability, degrees) == pytest.approx(expected, rel=1e-7, abs=1e-9)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(probability=PROBABILITIES, shape=COUNTS)
def test_gamma_quantiles_are_those_of_scipy(probability: float, shape: float):
    expected = stats.gamma.ppf(probability, shape)
    if expected > 1e-200:
        assert gamma_quantile(probability, shape) == pytest.approx(expected, rel=1e-7)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(probability=st.floats(1e-4, 1 - 1e-4), a=st.floats(0.1, 1e4), b=st.floats(0.1, 1e4))
def test_beta_quantiles_are_those_of_scipy(probability: float, a: float, b: float):
    expected = stats.beta.ppf(probability, a, b)
    if 1e-100 < expected < 1 - 1e-12:
        assert beta_quantile(probability, a, b) == pytest.approx(expected, rel=1e-6)


def test_the_ends_of_the_family_are_known_in_closed_form():
    assert student_quantile(0.975, math.inf) == pytest.approx(1.959964, abs=1e-6)
    assert student_quantile(0.75, 1.0) == pytest.approx(1.0)  # Cauchy
    assert student_quantile(0.5, 7.0) == 0.0
    assert student_quantile(0.025, 7.0) == pytest.approx(-student_quantile(0.975, 7.0))
    assert gamma_quantile(0.975, 1.0) == pytest.approx(-math.log(0.025))  # the rule of three
    assert beta_quantile(0.2, 1.0, 1.0) == pytest.approx(0.2)

"""Formulas of speculative decoding against hand counts, published figures and a simulation."""

import itertools
import math

import numpy as np
import pytest

from pipeline.errors import DataError, DecodingError, EvaluationError
from pipeline.metrics.acceptance import (
    block_efficiency,
    draft_acceptance_rate,
    mean_acceptance_length,
    position_acceptance,
)
from pipeline.metrics.speculation import (
    break_even_acceptance,
    expected_tokens_per_round,
    mean_round_cost,
    oracle_bound,
    predicted_speedup,
)
from pipeline.metrics.speedup import speedup_interval

MAX_DRAFT = 400  # long enough that the tail of any acceptance below is nothing


def _iid(acceptance: float, g: int = MAX_DRAFT) -> list[float]:
    return [acceptance**position for position in range(1, g + 1)]


def _linear(growth: float, g: int = MAX_DRAFT) -> list[float]:
    return [1.0 + growth * drafted for drafted in range(g + 1)]


def test_counts_of_ten_rounds_of_four():
    """Ten rounds of 4 drafted tokens; 8, 6, 3, 3 rounds accepted positions 1 to 4: 20 of 40."""
    per_position = (8, 6, 3, 3)
    assert mean_acceptance_length(10, 20) == pytest.approx(3.0)
    assert draft_acceptance_rate(40, 20) == pytest.approx(0.5)
    assert position_acceptance(per_position, 10) == pytest.approx((0.8, 0.6, 0.3, 0.3))
    # 2 requests, 32 tokens: 30 come from 10 decode steps
    assert block_efficiency(32, 2, 10) == pytest.approx(3.0)


def test_survival_as_measured_gives_the_mean_acceptance_length():
    survival = position_acceptance((8, 6, 3, 3), 10)
    assert expected_tokens_per_round(survival, 4) == pytest.approx(mean_acceptance_length(10, 20))


def test_without_a_draft_there_is_no_acceptance():
    assert mean_acceptance_length(0, 0) is None
    assert draft_acceptance_rate(0, 0) is None
    assert position_acceptance((0, 0), 0) is None
    assert block_efficiency(2, 2, 0) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_acceptance_length(-1, 0), "num_drafts is -1"),
        (lambda: draft_acceptance_rate(4, 5), "num_accepted_tokens is 5, more than num_draft"),
        (lambda: position_acceptance((3, 4), 5), r"accepted_per_position\[1\] is 4, more than"),
        (lambda: block_efficiency(1, 2, 3), "num_requests is 2, more than num_output_tokens 1"),
    ],
)
def test_counters_that_cannot_be_right_are_a_failed_run(call, message: str):
    with pytest.raises(DecodingError, match=message) as caught:
        call()
    assert caught.value.code == "decode.engine_failed"


@pytest.mark.parametrize(("acceptance", "g"), [(0.8, 5), (0.5, 1), (0.9, 12), (0.0, 3)])
def test_tokens_per_round_equal_the_closed_form(acceptance: float, g: int):
    closed_form = (1 - acceptance ** (g + 1)) / (1 - acceptance)
    assert expected_tokens_per_round(_iid(acceptance), g) == pytest.approx(closed_form)


def test_rounds_without_a_draft_cost_one_plain_step():
    """Ten rounds: four draft 5 tokens each, six find nothing."""
    v = [1.0, 1.05, 1.1, 1.2, 1.3, 1.4]
    assert mean_round_cost(10, 4, 20, 0.0, v) == pytest.approx(0.4 * 1.4 + 0.6)
    # Between two lengths the cost is interpolated: drafts of 2.5 tokens.
    assert mean_round_cost(4, 4, 10, 0.1, v) == pytest.approx(0.25 + 1.15)
    assert mean_round_cost(7, 0, 0, 0.1, v) == 1.0
    survival = (0.8, 0.5, 0.1)
    assert 2.4 / (mean_round_cost(3, 3, 9, 0.2, v) + 0.1) == pytest.approx(
        predicted_speedup(survival, 0.2, v, 0.1, 3)
    )
    with pytest.raises(DecodingError, match="num_drafts is 5, more than num_target_steps 4"):
        mean_round_cost(4, 5, 5, 0.1, v)


# (c, growth of v): for each acceptance the best speedup, its g, and the oracle bound; h = 0.05.
ACCEPTANCES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9)
PUBLISHED = {
    (0.02, 0.01): (
        (1.66, 4, 1.85),
        (1.99, 5, 2.28),
        (2.49, 7, 2.98),
        (3.39, 10, 4.27),
        (4.16, 12, 5.46),
        (5.45, 17, 7.58),
    ),
    (0.05, 0.01): (
        (1.52, 3, 1.80),
        (1.79, 4, 2.19),
        (2.18, 5, 2.80),
        (2.83, 7, 3.88),
        (3.37, 9, 4.80),
        (4.21, 13, 6.29),
    ),
    (0.125, 0.02): (
        (1.31, 2, 1.67),
        (1.47, 3, 1.97),
        (1.71, 3, 2.40),
        (2.08, 5, 3.07),
        (2.36, 6, 3.56),
        (2.77, 8, 4.25),
    ),
    (0.25, 0.05): (
        (1.11, 1, 1.48),
        (1.19, 2, 1.67),
        (1.33, 2, 1.90),
        (1.51, 3, 2.22),
        (1.65, 4, 2.42),
        (1.84, 5, 2.67),
    ),
    (0.375, 0.02): (
        (1.04, 1, 1.38),
        (1.11, 1, 1.52),
        (1.19, 2, 1.69),
        (1.33, 2, 1.90),
        (1.43, 3, 2.03),
        (1.56, 4, 2.17),
    ),
}


@pytest.mark.parametrize(
    ("costs", "acceptance", "expected"),
    [
        (costs, acceptance, expected)
        for costs, row in PUBLISHED.items()
        for acceptance, expected in zip(ACCEPTANCES, row, strict=True)
    ],
)
def test_speedup_and_bound_equal_the_reference_table(
    costs: tuple[float, float], acceptance: float, expected: tuple[float, int, float]
):
    c, growth = costs
    survival, v = _iid(acceptance), _linear(growth)
    best = max(range(1, 40), key=lambda g: predicted_speedup(survival, c, v, 0.05, g))
    speedup, g, bound = expected
    assert best == g
    assert predicted_speedup(survival, c, v, 0.05, g) == pytest.approx(speedup, abs=0.0051)
    assert oracle_bound(survival, c, v, 0.05) == pytest.approx(bound, abs=0.0051)


def test_speedup_reproduces_an_independent_measurement():
    """c = .596 with free verification: 1.507x at full acceptance, break-even at .832 (g = 5)."""
    flat = [1.0] * 6
    assert predicted_speedup([1.0] * 5, 0.596, flat, 0.0, 5) == pytest.approx(1.507, abs=0.001)
    assert predicted_speedup(_iid(0.832, 5), 0.596, flat, 0.0, 5) == pytest.approx(1.0, abs=0.001)


def test_oracle_bound_equals_its_closed_form_and_the_best_draft_cannot_beat_it():
    survival, v = _iid(0.7), _linear(0.02)
    closed_form = 1 / (0.3 * 1.05 + 0.7 * (0.125 + 0.02))
    assert oracle_bound(survival, 0.125, v, 0.05) == pytest.approx(closed_form)
    for g in range(30):
        assert predicted_speedup(survival, 0.125, v, 0.05, g) < closed_form


def test_speedup_and_bound_equal_a_simulated_decode():
    """Runs of accepted tokens are drawn; time is added up round by round."""
    rng = np.random.default_rng(0)
    conditional, c, v, h = (0.8, 0.7, 0.4), 0.1, (1.0, 1.1, 1.15, 1.4), 0.03
    accepted = np.cumprod(rng.random((200_000, 3)) < conditional, axis=1).sum(axis=1)
    survival = list(np.cumprod(conditional))
    for g in range(4):
        tokens = (np.minimum(accepted, g) + 1).sum()
        speedup = tokens / (len(accepted) * (g * c + v[g] + h))
        assert predicted_speedup(survival, c, v, h, g) == pytest.approx(speedup, rel=0.005)
    seconds = (accepted * c + np.take(v, accepted) + h).sum()
    assert oracle_bound(survival, c, v, h) == pytest.approx(
        (accepted + 1).sum() / seconds, rel=0.005
    )


def test_break_even_is_where_one_drafted_token_neither_helps_nor_harms():
    c, v = 0.3, [1.0, 1.15]
    threshold = break_even_acceptance(c, v[1])
    assert threshold == pytest.approx(0.45)
    assert predicted_speedup([threshold], c, v, 0.0, 1) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("survival", "v", "g", "message"),
    [
        ([0.5], [1.0, 1.1, 1.2], 2, "survival is known for 0 to 1"),
        ([0.5, 0.6], [1.0, 1.1, 1.2], 2, "must fall from 1 to 0"),
        ([1.2], [1.0, 1.1], 1, "must fall from 1 to 0"),
        ([0.5, 0.4], [1.0, 1.1], 2, r"v has 2 entries; v\[0\] .. v\[2\] are needed"),
        ([0.5], [1.0, 0.0], 1, "must cost something"),
    ],
)
def test_formulas_refuse_what_is_not_a_law_or_a_cost(
    survival: list[float], v: list[float], g: int, message: str
):
    with pytest.raises(ValueError, match=message):
        predicted_speedup(survival, 0.1, v, 0.0, g)


def test_overhead_may_be_negative_while_a_round_costs_something():
    assert predicted_speedup([0.5], 0.1, [1.0, 1.1], -0.2, 1) == pytest.approx(1.5)
    assert oracle_bound([0.5], 0.1, [1.0, 1.1], -0.2) == pytest.approx(1.5 / 0.9)
    with pytest.raises(ValueError, match="must cost something"):
        predicted_speedup([0.5], 0.1, [1.0, 1.1], -1.0, 1)


def test_speedup_is_the_median_of_paired_ratios():
    baseline = [[2.0, 2.2, 2.4], [4.0, 4.4, 4.8]]
    candidate = [[1.0, 1.0, 2.0], [2.5, 2.0, 4.0]]
    estimate = speedup_interval(baseline, candidate, num_resamples=500)
    # ratios 2, 2.2, 1.2 and 1.6, 2.2, 1.2: between 1.6 and 2
    assert estimate.value == pytest.approx(1.8)
    assert (estimate.n, estimate.resampled) == (2, "prompt")


def test_speedup_interval_equals_the_enumeration_of_every_draw_of_prompts():
    ratio = np.array([[1.1, 1.3], [1.7, 1.6], [0.8, 0.9], [2.1, 1.9], [1.4, 1.2]])
    medians = sorted(
        float(np.median(ratio[list(draw)])) for draw in itertools.product(range(5), repeat=5)
    )
    tail = math.floor(0.025 * len(medians))
    interval = speedup_interval(ratio, np.ones_like(ratio), num_resamples=20_000)
    assert (interval.low, interval.high) == pytest.approx((medians[tail], medians[-1 - tail]))


def test_pairing_removes_what_slows_both_arms():
    drift = np.linspace(1, 5, 40).reshape(20, 2)
    interval = speedup_interval(3.0 * drift, 2.0 * drift, num_resamples=200)
    assert (interval.low, interval.high) == pytest.approx((1.5, 1.5))


def test_one_prompt_has_a_speedup_without_an_interval():
    estimate = speedup_interval([[3.0, 3.0]], [[2.0, 2.0]])
    assert (estimate.value, estimate.interval) == (1.5, None)


def test_times_that_cannot_be_compared_are_refused():
    with pytest.raises(EvaluationError, match=r"shapes \(1, 2\) and \(2, 1\)"):
        speedup_interval([[1.0, 1.0]], [[1.0], [1.0]])
    with pytest.raises(EvaluationError, match="one row for each prompt"):
        speedup_interval([1.0], [1.0])
    with pytest.raises(DataError, match="no time was measured"):
        speedup_interval(np.empty((0, 3)), np.empty((0, 3)))
    with pytest.raises(DataError, match=r"candidate time of prompt 1, repeat 0 is 0\.0 seconds"):
        speedup_interval([[1.0], [1.0]], [[1.0], [0.0]])

"""What an arm's verdict says and hangs on, in both languages."""

import pytest

from pipeline.contracts.decoding_results import Prediction
from pipeline.contracts.estimates import Estimate
from pipeline.contracts.speedup_words import change_words, measured_verdict


def estimate(value, low, high):
    level = None if low is None else 0.95
    return Estimate(value=value, low=low, high=high, level=level, n=8, num_units=8)


def prediction(verdict, *, tokens, cost, c=None, v=None):
    return Prediction(
        speedup=estimate(tokens / cost, 0.9, 1.1),
        verdict=verdict,
        speedup_by_length={"1": tokens / cost},
        tokens_per_round=tokens,
        round_cost=cost,
        needed_c=c,
        needed_v=v,
        mean_v=1.1,
        oracle_bound=1.2,
    )


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(1.01, 1.3, "pays"), (0.8, 0.99, "does_not_pay"), (0.9, 1.1, "undecided"),
     (1.0, 1.1, "undecided"), (0.9, 1.0, "undecided"), (None, None, "undecided")],
)  # fmt: skip
def test_a_measured_speedup_pays_where_its_whole_interval_does(low, high, verdict) -> None:
    assert measured_verdict(estimate(1.05, low, high)) == verdict


def test_what_pays_hangs_on_nothing() -> None:
    assert change_words(prediction("pays", tokens=1.4, cost=1.2), 0.1) is None


def test_what_costs_more_than_it_brings_says_what_has_to_be_reached() -> None:
    words = change_words(prediction("does_not_pay", tokens=1.2, cost=1.4, v=0.9), 0.1)
    assert words.en == (
        "as fast as plain decoding with one of: 1.40 tokens a round instead of 1.20, "
        "rounds of 1.20 plain steps instead of 1.40, v of 0.900 instead of 1.100"
    )
    assert words.zh.startswith("满足其一即与普通解码同速：每轮 1.40 个词元（现为 1.20）、")


def test_what_brings_more_but_is_undecided_says_where_the_gain_ends() -> None:
    """ "As fast with fewer tokens a round" would ask for a worse draft."""
    words = change_words(prediction("undecided", tokens=1.29, cost=1.24, c=0.07), 0.017)
    assert words.en == (
        "no faster than plain decoding with one of: 1.24 tokens a round instead of 1.29, "
        "rounds of 1.29 plain steps instead of 1.24, c of 0.070 instead of 0.017"
    )
    assert words.zh.startswith("出现其一即不再快于普通解码：")

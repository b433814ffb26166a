"""A word and the interval it rests on never contradict; corrections are the textbook's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

from pipeline.contracts.estimates import Estimate
from pipeline.contracts.samples import MEASURES
from pipeline.metrics.decisions import (
    ERROR_RATE,
    Difference,
    Doubt,
    Word,
    agreeing_interval,
    decide,
    family_level,
    holm,
)
from pipeline.metrics.noninferiority import MIN_UNITS
from pipeline.metrics.paired_tests import paired_p_values


def difference(
    value,
    low,
    high,
    p,
    *,
    margin=None,
    direction="higher",
    num_units=400,
    num_missing=0,
    num_tests=1,
):
    level = None if low is None else family_level(num_tests)
    return Difference(
        simultaneous=Estimate(
            value=value, low=low, high=high, level=level, n=num_units, num_units=num_units
        ),
        p_value=p,
        direction=direction,
        margin=margin,
        num_missing=num_missing,
    )


def judged(*args, **options):
    (found,) = decide([difference(*args, **options)])
    return found


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # Holm 1979 by hand: 3 p, 2 p, 1 p, monotone
        ([0.2], [0.2]),
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.04, 0.04], [0.08, 0.08]),
        ([], []),
    ],
)
def test_holm_by_hand(p_values, expected) -> None:
    assert holm(p_values) == pytest.approx(expected)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_holm_rejects_as_the_closed_test_does(p_values) -> None:
    """Holm is the closure of Bonferroni: a hypothesis falls when every set with it falls."""
    adjusted = holm(p_values)
    everything = range(len(p_values))
    for index in everything:
        sets = [
            [one for one in everything if code >> one & 1]
            for code in range(1 << len(p_values))
            if code >> index & 1
        ]
        closed = max(min(1.0, len(found) * min(p_values[one] for one in found)) for found in sets)
        assert adjusted[index] == pytest.approx(closed)


def test_family_level_is_bonferronis() -> None:
    assert family_level(1) == 0.95
    assert family_level(8) == pytest.approx(0.99375)


@pytest.mark.parametrize(
    ("found", "word", "doubt"),
    [
        # The two cases: no word where the page said WORSE and "no difference seen".
        (judged(-0.01, -0.02, -0.0025, 0.125), Word.NOT_DECIDED, Doubt.INTERVAL),
        (judged(-0.21, -1.79, 1.29, 0.8), Word.NOT_DECIDED, Doubt.INTERVAL),
        (judged(-0.21, -1.79, 1.29, 0.8, margin=2.0), Word.EQUIVALENT, Doubt.NONE),
        (judged(0.21, 0.1, 0.4, 0.001, margin=0.5), Word.EQUIVALENT, Doubt.NONE),
        (judged(0.21, 0.1, 0.4, 0.001), Word.BETTER, Doubt.NONE),
        (judged(-1.0, -2.0, -0.5, 0.001, margin=0.5), Word.WORSE, Doubt.NONE),
        (judged(-1.0, -2.0, -0.5, 0.001, direction="lower"), Word.BETTER, Doubt.NONE),
        (judged(1.0, 0.5, 2.0, 0.001, direction="lower"), Word.WORSE, Doubt.NONE),
        # Missing items and few units never help.
        (judged(1.0, 0.5, 2.0, 0.001, num_missing=1), Word.NOT_DECIDED, Doubt.MISSING),
        (judged(-1.0, -2.0, -0.5, 0.001, num_missing=1), Word.WORSE, Doubt.NONE),
        (judged(0.0, -0.1, 0.1, 0.9, margin=1.0, num_missing=1), Word.NOT_DECIDED, Doubt.MISSING),
        (judged(1.0, 0.5, 2.0, 0.001, num_units=19), Word.NOT_DECIDED, Doubt.TOO_FEW_UNITS),
        (judged(1.0, None, None, 0.001), Word.NOT_DECIDED, Doubt.NO_INTERVAL),
        (judged(1.0, None, None, 0.001, num_units=1), Word.NOT_DECIDED, Doubt.TOO_FEW_UNITS),
    ],
)  # fmt: skip
def test_words(found, word, doubt) -> None:
    assert (found.word, found.doubt) == (word, doubt)


def test_an_interval_that_only_touches_the_margin_is_not_inside_it() -> None:
    assert judged(0.2, -0.1, 1.0, 0.4, margin=1.0).word is Word.NOT_DECIDED
    assert judged(0.2, -0.1, 0.999, 0.4, margin=1.0).word is Word.EQUIVALENT


def test_the_family_decides_what_one_test_alone_would_have_said() -> None:
    alone = judged(1.0, 0.1, 2.0, 0.03)
    assert alone.word is Word.BETTER
    among = decide([difference(1.0, 0.1, 2.0, 0.03, num_tests=4)] * 4)
    assert {one.word for one in among} == {Word.NOT_DECIDED}
    assert {(one.low, one.high) for one in among} == {(0.0, 2.0)}


def test_a_step_of_holm_beyond_bonferroni_opens_the_interval_at_zero() -> None:
    """p = 0.03 falls at the second step (0.05 / 1), its interval at 97.5% still held 0."""
    first, second = decide(
        [
            difference(2.0, 1.0, 3.0, 0.001, num_tests=2),
            difference(-1.0, -2.1, 0.1, 0.03, num_tests=2),
        ]
    )
    assert (first.word, second.word) == (Word.BETTER, Word.WORSE)
    assert (second.low, second.high, second.is_open_at_zero) == (-2.1, 0.0, True)
    assert not first.is_open_at_zero
    assert second.adjusted_p == pytest.approx(0.03)


FINITE = st.floats(-5.0, 5.0)
DIFFERENCES = st.builds(
    lambda value, below, above, p, margin, direction, units, missing: (
        {
            "value": value,
            "low": value - below,
            "high": value + above,
            "p": p,
            "margin": margin,
            "direction": direction,
            "num_units": units,
            "num_missing": missing,
        }
    ),
    FINITE,
    st.floats(-0.1, 3.0),  # a percentile interval need not hold the figure itself
    st.floats(0.2, 3.0),
    st.one_of(st.floats(0.0, 0.06), st.floats(0.0, 1.0)),
    st.one_of(st.none(), st.floats(0.01, 4.0)),
    st.sampled_from(["higher", "lower"]),
    st.integers(2, 2000),
    st.sampled_from([0, 0, 0, 2]),
)


@pytest.mark.slow
@given(st.lists(DIFFERENCES, min_size=1, max_size=12))
@settings(max_examples=400, deadline=None, derandomize=True)
def test_a_word_and_its_interval_never_contradict(family) -> None:
    asked = [difference(**one, num_tests=len(family)) for one in family]
    adjusted = holm([one.p_value for one in asked])
    for one, found, p in zip(asked, decide(asked), adjusted, strict=True):
        low, high = found.low, found.high
        assert low is not None
        assert high is not None
        assert low <= one.simultaneous.value <= high
        is_inside = one.margin is not None and -one.margin < low and high < one.margin
        sign = 1 if one.direction == "higher" else -1
        if found.word is Word.EQUIVALENT:
            assert is_inside
            assert one.margin is not None
            assert found.is_real == (p < ERROR_RATE and one.simultaneous.value != 0)
        elif found.word is Word.NOT_DECIDED:
            assert low <= 0.0 <= high
            assert not found.is_real
            assert found.doubt is not Doubt.NONE
            if found.doubt is Doubt.INTERVAL:
                assert not is_inside
        else:
            assert p < ERROR_RATE
            better_side = low if (found.word is Word.BETTER) == (sign > 0) else -high
            assert better_side >= 0.0
            assert not is_inside
        if one.num_missing:
            assert found.word in (Word.WORSE, Word.NOT_DECIDED)
        if one.simultaneous.num_units < MIN_UNITS:
            assert found.word is Word.NOT_DECIDED
        # Cut or widened at 0 and nowhere else.
        assert low in (0.0, min(one.simultaneous.low, one.simultaneous.value))
        assert high in (0.0, max(one.simultaneous.high, one.simultaneous.value))


def test_a_ratio_agrees_with_its_test_at_one() -> None:
    ratio = Estimate(value=1.08, low=0.99, high=1.2, level=0.95, n=40, num_units=40)
    assert agreeing_interval(ratio, null=1.0, is_real=True) == (1.0, 1.2)
    surer = ratio.model_copy(update={"low": 1.01})
    assert agreeing_interval(surer, null=1.0, is_real=False) == (1.0, 1.2)
    assert agreeing_interval(surer, null=1.0, is_real=True) == (1.01, 1.2)


def test_a_family_of_no_differences_errs_as_seldom_as_it_says() -> None:
    """1,500 families of 8 uniform p values: 5% with a standard error of 0.56 points."""
    rng = np.random.default_rng(5)
    wrong = sum(min(holm(rng.random(8).tolist())) < ERROR_RATE for _family in range(1500))
    assert 0.033 < wrong / 1500 < 0.067


MEASURES_OF_A_PAGE = [
    measure
    for measure in MEASURES
    if measure.key in {"rouge1", "rougeL", "is_correct", "probability"}
]


def students(gains):
    """Student's interval of a mean, at the level of the page's family."""
    level, n = family_level(len(MEASURES_OF_A_PAGE)), len(gains)
    value, error = float(gains.mean()), float(gains.std(ddof=1) / math.sqrt(n))
    reach = float(student.ppf(0.5 + level / 2, n - 1)) * error
    return Estimate(
        value=value, low=value - reach, high=value + reach, level=level, n=n, num_units=n
    )


def page(rng, *, shift=0.0, num_items=60, margin=None):
    """The words of a page with one candidate, whose rouge1 is better by `shift` in truth."""
    skill = rng.random(num_items)
    sides = []
    for moved in (0.0, shift):
        noise = rng.normal(0, 8.0, size=(2, num_items))
        right = rng.random(num_items) < skill
        sides.append(
            {
                "rouge1": 50 * skill + noise[0] + moved,
                "rougeL": 40 * skill + noise[1],
                "is_correct": right,
                "probability": np.where(right, 0.6, 0.2) + rng.normal(0, 0.05, size=num_items),
            }
        )
    p_values = paired_p_values(MEASURES_OF_A_PAGE, *sides, num_swaps=1000)
    found = decide(
        [
            Difference(
                simultaneous=students(sides[1][one.key] - 1.0 * sides[0][one.key]),
                p_value=p_values[one.key],
                direction="higher",
                margin=margin if one.key == "rouge1" else None,
            )
            for one in MEASURES_OF_A_PAGE
        ]
    )
    return dict(zip([one.key for one in MEASURES_OF_A_PAGE], found, strict=True))


def test_pages_of_models_that_do_not_differ_seldom_say_that_one_does() -> None:
    """200 pages: 5% has a standard error of 1.5 points."""
    rng = np.random.default_rng(21)
    wrong = 0
    for _page in range(200):
        words = page(rng)
        wrong += any(one.word in (Word.BETTER, Word.WORSE) for one in words.values())
    assert wrong / 200 < 0.096


def test_a_difference_as_large_as_the_margin_seldom_reads_equivalent() -> None:
    """Each of 200 true differences stands on the margin: 5% / 4 measures / 2 sides = 0.6%."""
    rng = np.random.default_rng(22)
    wrong = [
        page(rng, shift=2.0, num_items=120, margin=2.0)["rouge1"].word for _page in range(200)
    ].count(Word.EQUIVALENT)
    assert wrong <= 6


def test_a_clear_gain_is_better_and_models_alike_are_equivalent() -> None:
    rng = np.random.default_rng(23)
    better = [page(rng, shift=6.0)["rouge1"].word for _page in range(10)]
    assert better.count(Word.BETTER) >= 8
    alike = [page(rng, num_items=600, margin=2.5)["rouge1"].word for _page in range(10)]
    assert alike.count(Word.EQUIVALENT) >= 8

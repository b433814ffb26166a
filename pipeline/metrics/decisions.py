"""Better, worse, equivalent within the margin, or not decided: one word for each difference.

All differences that one page judges are a family. Tests of a difference are corrected in it by
Holm's procedure, intervals and with them equivalence by Bonferroni's. A word and the interval it
rests on are made together, so that they never contradict each other; `docs/metrics.md` has the
rule. PASS, FAIL and INCONCLUSIVE are other words, of verdicts and gates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pipeline.contracts.estimates import Estimate
from pipeline.metrics.noninferiority import MIN_UNITS

ERROR_RATE = 0.05
"""Probability that a family holds any wrong difference, and that any of its intervals misses."""


class Word(StrEnum):
    """What may be said of a difference."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    """The whole interval lies inside the margin; the difference may still be real."""
    NOT_DECIDED = "not_decided"


class Doubt(StrEnum):
    """Why no more can be said than the word does."""

    NONE = "none"
    INTERVAL = "interval"
    """The interval holds 0 and reaches beyond the margin, or there is no margin."""
    TOO_FEW_UNITS = "too_few_units"
    NO_INTERVAL = "no_interval"
    MISSING = "missing"
    """Items that only one side scored: they never help a candidate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One measure of one candidate against the baseline, before it is judged."""

    simultaneous: Estimate
    """candidate - baseline, at `family_level` of the family's size."""
    p_value: float
    """Of no difference, two-sided, uncorrected (`paired_tests`)."""
    direction: Literal["higher", "lower"]
    """Which way is better."""
    margin: float | None
    """Largest difference that is none, in the measure's stored unit, fixed before the run."""
    num_missing: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """The word for one difference and the interval it rests on."""

    word: Word
    doubt: Doubt
    is_real: bool
    """The corrected test excludes 0; with `Word.EQUIVALENT`: a small but real difference."""
    gain: float
    """The difference in the direction that is better."""
    adjusted_p: float
    """Holm-adjusted in the family."""
    low: float | None
    """None with `high`: there is no interval."""
    high: float | None
    level: float
    """Of each interval, so that all of the family hold together."""
    num_units: int

    @property
    def is_open_at_zero(self) -> bool:
        """Holm's procedure has excluded 0, where this interval alone would have kept it."""
        return self.is_real and 0.0 in (self.low, self.high)


def family_level(num_tests: int) -> float:
    """Returns the level at which each of `num_tests` intervals is taken, so that all hold at 95%.

    Definition: 1 - 0.05 / number of tests (Bonferroni), whatever their dependence.
    Source: Dunn 1961.
    """
    return 1.0 - ERROR_RATE / num_tests


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns the p values adjusted by Holm's step-down procedure, in the order given.

    Definition: the k-th smallest times (number - k + 1), never below the one before, at most 1.
        Calling those below a rate different errs anywhere with at most that probability.
    Source: Holm 1979; equals `statsmodels.stats.multitest.multipletests(method="holm")`.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, so_far = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        so_far = max(so_far, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = so_far
    return adjusted


def decide(family: Sequence[Difference]) -> list[Decision]:
    """Returns the word for each difference of a family, in the order given.

    Definition: equivalent where the whole simultaneous interval lies inside (-margin, margin), else
        better or worse where the Holm-adjusted p is below 5%, else not decided. The interval is
        cut at 0 where the adjusted test excludes 0 and widened to 0 where it does not. Below 20
        units nothing is decided; with missing items only "worse" is.
    Direction: each difference's own; `gain` is positive when the candidate is better.
    Source: two one-sided tests by inclusion of an interval, Schuirmann 1987; Holm 1979. What few
        units could not have shown is in the interval (`exact_limits`).
    """
    adjusted = holm([one.p_value for one in family])
    level = family_level(len(family)) if family else 1.0 - ERROR_RATE
    return [_decision(one, p, level) for one, p in zip(family, adjusted, strict=True)]


def agreeing_interval(
    estimate: Estimate, *, null: float, is_real: bool
) -> tuple[float, float] | None:
    """Returns the bounds of an estimate, made to agree with a test of `null`.

    Args:
        estimate: a figure with its interval.
        null: the value that the test is about: 0 of a difference, 1 of a ratio.
        is_real: the test excludes it. The bound is then `null` itself where the interval reached
            beyond, and the interval is open there.
    """
    if estimate.low is None or estimate.high is None:
        return None
    low, high = min(estimate.low, estimate.value), max(estimate.high, estimate.value)
    if not is_real:
        return min(low, null), max(high, null)
    return (max(low, null), high) if estimate.value > null else (low, min(high, null))


def _decision(one: Difference, adjusted_p: float, level: float) -> Decision:
    estimate = one.simultaneous
    gain = estimate.value if one.direction == "higher" else -estimate.value
    # A difference of exactly 0 has p = 1, but rounding of sums may say otherwise.
    is_real = adjusted_p < ERROR_RATE and gain != 0.0
    bounds = agreeing_interval(estimate, null=0.0, is_real=is_real)
    word, doubt = _word(one, bounds, gain if is_real else 0.0)
    if word is Word.NOT_DECIDED and is_real:
        # What is not said of the difference, its interval must not say either.
        is_real, bounds = False, agreeing_interval(estimate, null=0.0, is_real=False)
    return Decision(
        word=word,
        doubt=doubt,
        is_real=is_real,
        gain=gain,
        adjusted_p=adjusted_p,
        low=None if bounds is None else bounds[0],
        high=None if bounds is None else bounds[1],
        level=level,
        num_units=estimate.num_units,
    )


def _word(
    one: Difference, bounds: tuple[float, float] | None, real_gain: float
) -> tuple[Word, Doubt]:
    """The word and why not more; `real_gain` is 0 where the test does not exclude 0."""
    if one.simultaneous.num_units < MIN_UNITS:
        return Word.NOT_DECIDED, Doubt.TOO_FEW_UNITS
    if bounds is None:
        return Word.NOT_DECIDED, Doubt.NO_INTERVAL
    is_inside = one.margin is not None and -one.margin < bounds[0] and bounds[1] < one.margin
    if one.num_missing and (is_inside or real_gain >= 0):
        return Word.NOT_DECIDED, Doubt.MISSING
    if is_inside:
        return Word.EQUIVALENT, Doubt.NONE
    if real_gain:
        return (Word.BETTER if real_gain > 0 else Word.WORSE), Doubt.NONE
    return Word.NOT_DECIDED, Doubt.INTERVAL

"""Scores whose distribution is known, as two systems get them on the same questions."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.uncertainty import FloatArray


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scores:
    """One draw: the scores of both systems, shape [n], or counts of corpus BLEU, shape [n, 10]."""

    before: FloatArray
    after: FloatArray
    clusters: NDArray[np.intp] | None = None
    """Number of each item's cluster, shape [n]."""
    weights: FloatArray | None = None
    """What each item counts for, in both systems, shape [n]; None where all count the same."""


Draw = Callable[[np.random.Generator, int], Scores]
"""Draws so many units (items, or clusters of items)."""


def noisy(rng: np.random.Generator, n: int) -> Scores:
    """Ability of the question plus noise of each system; nearly symmetric differences."""
    ability = rng.beta(2, 2, n)
    first, second = (np.clip(part * ability + rng.normal(0, 0.1, n), 0, 1) for part in (0.9, 1.0))
    return Scores(before=first, after=second)


def weighted(rng: np.random.Generator, n: int) -> Scores:
    """Bits per byte of references of unequal length, which the longer ones need less of."""
    num_bytes = np.rint(rng.lognormal(5.5, 0.7, n)) + 20.0
    before = rng.gamma(16.0, 1 / 16.0, n) * (0.9 + 30.0 / num_bytes)
    after = before * 0.95 + rng.normal(0.0, 0.5, n) / np.sqrt(num_bytes)
    return Scores(before=before, after=np.clip(after, 0.0, 8.0), weights=num_bytes)


def skewed(rng: np.random.Generator, n: int) -> Scores:
    """Most questions score low, as ROUGE-2 does; differences have heavy tails."""
    ability = rng.beta(1, 5, n)
    return Scores(before=ability, after=np.clip(ability + 0.05 * rng.standard_t(4, n), 0, 1))


def unlike(rng: np.random.Generator, n: int) -> Scores:
    """Two systems that have little in common, as greedy answers under ROUGE."""
    return Scores(before=rng.beta(1.5, 4, n), after=rng.beta(1.8, 4, n))


def sparse_gains(share: float) -> Draw:
    """Most questions score the same in both; the others gain, some of them much."""

    def draw(rng: np.random.Generator, n: int) -> Scores:
        before = rng.beta(2, 3, n)
        gain = np.where(rng.random(n) < share, rng.beta(1, 3, n) * (1 - before), 0.0)
        return Scores(before=before, after=before + gain)

    return draw


def mostly_zero(share: float) -> Draw:
    """Most questions score nothing, in both systems."""

    def draw(rng: np.random.Generator, n: int) -> Scores:
        first, second = (np.where(rng.random(n) < share, rng.beta(2, 3, n), 0.0) for _ in range(2))
        return Scores(before=first, after=second)

    return draw


def flips(lost: float, won: float, accuracy: float = 0.6) -> Draw:
    """Right or wrong; shares of all items that are lost and won."""

    def draw(rng: np.random.Generator, n: int) -> Scores:
        before, chance = rng.random(n) < accuracy, rng.random(n)
        after = np.where(before, chance >= lost / accuracy, chance < won / (1 - accuracy))
        return Scores(before=before.astype(np.float64), after=after.astype(np.float64))

    return draw


def clustered_scores(rng: np.random.Generator, n: int) -> Scores:
    """Passages of two to twelve questions, which rise and fall together."""
    sizes = rng.integers(2, 13, n)
    of = np.repeat(np.arange(n), sizes)
    before = rng.beta(3, 3, len(of))
    shift = rng.normal(0.02, 0.05, n)[of] + rng.normal(0, 0.08, len(of))
    return Scores(before=before, after=before + shift, clusters=of)


def clustered_flips(rng: np.random.Generator, n: int) -> Scores:
    """Passages of five to thirty-four questions, each losing a share of its own."""
    sizes = rng.integers(5, 35, n)
    of = np.repeat(np.arange(n), sizes)
    lost = 0.6 * rng.beta(0.5, 5.5, n)[of]
    before, chance = rng.random(len(of)) < 0.6, rng.random(len(of))
    after = np.where(before, chance >= lost / 0.6, chance < 0.03 / 0.4)
    return Scores(before=before.astype(np.float64), after=after.astype(np.float64), clusters=of)


def bleu_counts(first: float, second: float) -> Draw:
    """Sufficient statistics of answers whose tokens match with a probability of their own.

    Args:
        first, second: parameters of the beta distribution of that probability.
    """

    def draw(rng: np.random.Generator, n: int) -> Scores:
        num_reference = rng.integers(10, 60, n)
        quality = rng.beta(first, second, n)
        better = np.clip(quality + rng.normal(0.03, 0.08, n), 0.02, 0.98)
        lengths = [
            np.maximum(4, (num_reference * rng.uniform(least, 1.5, n)).astype(np.int64))
            for least in (0.6, 0.7)
        ]
        return Scores(
            before=_statistics(rng, quality, lengths[0], num_reference),
            after=_statistics(rng, better, lengths[1], num_reference),
        )

    return draw


def _statistics(
    rng: np.random.Generator,
    quality: FloatArray,
    num_answer: NDArray[np.int64],
    num_reference: NDArray[np.int64],
) -> FloatArray:
    """Answer and reference length, matches of orders 1 to 4, n-grams of orders 1 to 4."""
    totals = [np.maximum(num_answer - order, 0) for order in range(4)]
    matches = [rng.binomial(num_answer, quality)]
    for total in totals[1:]:
        matches.append(np.minimum(rng.binomial(matches[-1], 0.9 * quality + 0.05), total))
    return np.column_stack([num_answer, num_reference, *matches, *totals]).astype(np.float64)


def divergences(texts_each: int) -> Draw:
    """Divergence from a base in bits (`before`) and bytes (`after`), of some texts a passage.

    As skewed over passages as measured ones (`python -m bench gauge`).
    """

    def draw(rng: np.random.Generator, n: int) -> Scores:
        of = np.repeat(np.arange(n), texts_each)
        num_bytes = rng.integers(150, 350, len(of)).astype(np.float64)
        level = rng.gamma(4.0, 0.05 / 4.0, n)[of] * rng.gamma(6.0, 1 / 6.0, len(of))
        return Scores(before=num_bytes * level, after=num_bytes, clusters=of)

    return draw

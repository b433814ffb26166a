"""Is there a difference between two arms at all? Exact tests and swaps of whole units.

If the two models are alike, each unit's two sets of scores could as well have come the other way
round: an item's, or all items' of a cluster. The p value is the share of all such swaps that gives
a difference at least as large as the one seen. For 0/1 scores of single items that is McNemar's
exact test.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.contracts.samples import Measure
from pipeline.metrics.corpus_bleu import NUM_BLEU_STATISTICS, corpus_bleu_from_statistics
from pipeline.metrics.uncertainty import FloatArray, cluster_sums, mcnemar_exact

NUM_SWAPS = 10_000
_CHUNK = 256
# With so few units every swap is looked at: 8,192 of them.
_MAX_ENUMERATED = 13
# Sums that differ only by the order of their addition are the same sum.
_TOLERANCE = 1e-9


def paired_p_values(
    measures: Sequence[Measure],
    baseline: Mapping[str, ArrayLike],
    candidate: Mapping[str, ArrayLike],
    *,
    clusters: Sequence[str] | None = None,
    num_swaps: int = NUM_SWAPS,
    seed: int = 0,
) -> dict[str, float]:
    """Returns by measure the two-sided p value that the arms are exchangeable within each unit.

    Definition: share of swaps of whole units with a difference at least as large. 0/1 scores: of
        all swaps, exactly. Others: of all swaps up to 13 units, else (1 + as large) / (1 + drawn)
        over `num_swaps` seeded draws, which never is too small. Corpus BLEU is computed anew for
        each swap.
    Direction: small means that there is a difference; it says nothing of its size.
    Source: Fisher 1935; Noreen 1989 and Riezler and Maxwell 2005 (approximate randomization);
        Phipson and Smyth 2010 (the 1 added); McNemar 1947.

    Args:
        measures: those that a set of items has a figure of.
        baseline: by column of `measures`, one score (and weight) for each item, shape [n], or
            counts, [n, k].
        candidate: the same items in the same order.
        clusters: items of one cluster are swapped together.

    Raises:
        EvaluationError: `eval.items_differ`, not one cluster for each item.
    """
    found: dict[str, float] = {}
    drawn: list[tuple[Measure, FloatArray, FloatArray]] = []
    for measure in measures:
        before, after = (
            cluster_sums(_columns(measure, side), clusters) for side in (baseline, candidate)
        )
        if measure.type == "bool":
            differences = np.rint(after - before)[:, 0].astype(np.int64)
            found[measure.key] = sign_flip_exact(differences.tolist())
        else:
            drawn.append((measure, before, after))
    if drawn:
        found |= _by_swaps(drawn, num_swaps, np.random.default_rng(seed))
    return {measure.key: found[measure.key] for measure in measures}


def sign_flip_exact(differences: Sequence[int]) -> float:
    """Returns the two-sided exact p value of a sum of whole numbers whose signs are coins.

    Definition: P(|sum of +-d| >= |sum of d|), each sign with probability 1/2, by convolution. With
        all sizes equal it is McNemar's exact test.
    Source: Fisher 1935.
    """
    sizes = Counter(abs(value) for value in differences if value)
    observed = abs(sum(differences))
    if observed == 0:
        return 1.0
    if len(sizes) == 1:
        ((size, count),) = sizes.items()
        num_with = (count + observed // size) // 2
        return mcnemar_exact(count - num_with, num_with)
    # Sum of the sizes whose coin shows heads; the signed sum is twice that less all sizes.
    heads = np.ones(1)
    for size, count in sorted(sizes.items()):
        spread = np.zeros(size * count + 1)
        spread[::size] = _coins(count)
        heads = np.convolve(heads, spread)
    signed = 2 * np.arange(len(heads)) - (len(heads) - 1)
    return min(1.0, float(heads[np.abs(signed) >= observed].sum()))


def _coins(count: int) -> list[float]:
    """Probability of 0, 1, ... heads of `count` coins; whole numbers until the last division."""
    term, terms = 1, [1]
    for heads in range(count):
        term = term * (count - heads) // (heads + 1)
        terms.append(term)
    return [one / (1 << count) for one in terms]


def _columns(measure: Measure, side: Mapping[str, ArrayLike]) -> FloatArray:
    scores = np.asarray(side[measure.column], dtype=np.float64)
    if measure.weight is not None:
        scores = scores * np.asarray(side[measure.weight], dtype=np.float64)
    width = NUM_BLEU_STATISTICS if measure.aggregation == "corpus_bleu" else 1
    return scores.reshape(-1, width)


def _figure(measure: Measure, sums: FloatArray) -> FloatArray:
    """What the sums of an arm amount to; a mean and its sum give the same p.

    That of a weighted mean too: an item's weight follows from its question, so both arms have it.
    """
    if measure.aggregation == "corpus_bleu":
        return corpus_bleu_from_statistics(sums)
    return np.asarray(sums[..., 0])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Arms:
    """Two arms of a measure, and how large a difference counts as the one seen."""

    measure: Measure
    moves: FloatArray
    """What a unit's swap takes from the candidate's sums, shape [units, k]."""
    baseline: FloatArray
    candidate: FloatArray
    threshold: float

    @classmethod
    def of(cls, measure: Measure, before: FloatArray, after: FloatArray) -> "_Arms":
        baseline, candidate = before.sum(axis=0), after.sum(axis=0)
        observed = abs(float(_figure(measure, candidate) - _figure(measure, baseline)))
        slack = _TOLERANCE * (1.0 + abs(float(_figure(measure, baseline))))
        return cls(
            measure=measure, moves=after - before, baseline=baseline, candidate=candidate,
            threshold=observed - slack,
        )  # fmt: skip

    def num_as_large(self, swaps: FloatArray) -> int:
        """How many of the swaps, shape [swaps, units], give such a difference."""
        moved = swaps @ self.moves
        found = _figure(self.measure, self.candidate - moved) - _figure(
            self.measure, self.baseline + moved
        )
        return int((np.abs(found) >= self.threshold).sum())


def _by_swaps(
    tested: Sequence[tuple[Measure, FloatArray, FloatArray]],
    num_swaps: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """All measures see the same swaps."""
    num_units = len(tested[0][1])
    is_enumerated = num_units <= _MAX_ENUMERATED
    total = 1 << num_units if is_enumerated else num_swaps
    arms = [_Arms.of(*each) for each in tested]
    num_as_large = dict.fromkeys((each.measure.key for each in arms), 0)
    for start in range(0, total, _CHUNK):
        rows = min(_CHUNK, total - start)
        if is_enumerated:
            codes = np.arange(start, start + rows)[:, None]
            swaps = (codes >> np.arange(num_units) & 1).astype(np.float64)
        else:
            swaps = rng.integers(0, 2, size=(rows, num_units), dtype=np.int8).astype(np.float64)
        for each in arms:
            num_as_large[each.measure.key] += each.num_as_large(swaps)
    added = 0 if is_enumerated else 1
    return {key: (number + added) / (total + added) for key, number in num_as_large.items()}

"""How sure a paired comparison is: bootstrap intervals and McNemar's test.

Every statistic here is a function of column sums over items (a mean is score sum / item count, a
corpus BLEU is a function of ten counts), so one resampling routine, `bootstrap_sums`, serves all.
Both arms always see the same draws: that is what makes the comparison paired.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.errors import DataError, EvaluationError
from pipeline.metrics.corpus_bleu import NUM_BLEU_STATISTICS, corpus_bleu_from_statistics

NUM_RESAMPLES = 10_000
LEVEL = 0.95
# Rows of resampling weights held at once; 16 rows of 12,000 float64 stay inside a 2 MB cache.
_CHUNK = 16

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A two-sided confidence interval; each side misses with probability (1 - level) / 2."""

    low: float
    high: float
    level: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedEstimate:
    """Candidate against baseline on the same items."""

    baseline: float
    candidate: float
    difference: float
    """candidate - baseline"""
    difference_interval: Interval | None
    """None when fewer than two units were there to resample."""
    ratio: float | None
    """candidate / baseline; None unless the baseline is positive."""
    ratio_interval: Interval | None
    """None also when resamples reach a baseline of 0, so that the ratio has no bound."""
    n: int
    """Items compared."""
    num_units: int
    """What was resampled: clusters, or items when there are none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedComparison(PairedEstimate):
    """A `PairedEstimate` with the items counted by outcome; `n` = improved + regressed + tied."""

    improved: int
    regressed: int
    tied: int
    missing: int
    """Items that only one side scored. They are in no mean; a decision must not pass over them."""


def paired_bootstrap(
    baseline: ArrayLike,
    candidate: ArrayLike,
    *,
    clusters: Sequence[str] | None = None,
    num_resamples: int = NUM_RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> PairedEstimate:
    """Returns difference and ratio of two means over the same items, with percentile intervals.

    Definition: items (whole clusters where given) are drawn with replacement, the same draw for
        both arms; the bounds are quantiles of the statistic over the draws.
    Direction: a positive difference or a ratio above 1 means that the candidate scores higher.
    Source: Efron and Tibshirani 1993, chapter 13; clusters: Miller 2024 (arXiv 2411.00640).

    Args:
        baseline: one finite score for each item, shape [n].
        candidate: the same items in the same order, shape [n].
        clusters: items of one cluster (passage, document, seed) rise and fall together.

    Raises:
        EvaluationError: `eval.items_differ`, the arguments have different lengths.
        DataError: `data.empty`; `data.row_invalid` for a score that is not finite.
    """
    arms = [_with_count(np.asarray(scores, dtype=np.float64)) for scores in (baseline, candidate)]
    return _paired_estimate(arms[0], arms[1], _mean, clusters, num_resamples, level, seed)


def paired_bleu_bootstrap(
    baseline: ArrayLike,
    candidate: ArrayLike,
    *,
    clusters: Sequence[str] | None = None,
    num_resamples: int = NUM_RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> PairedEstimate:
    """Returns difference and ratio of two corpus BLEU scores, with percentile intervals.

    Definition: as `paired_bootstrap`, the statistic being the corpus BLEU of the drawn samples.
    Direction: a positive difference or a ratio above 1 means that the candidate scores higher.
    Source: Koehn 2004, paired bootstrap for BLEU; sacrebleu computes the same from such counts.

    Args:
        baseline: `SampleOverlap.bleu_statistics` of each sample, shape [n, 10].
        candidate: the same samples in the same order, shape [n, 10].
        clusters: as `paired_bootstrap`.

    Raises:
        EvaluationError: `eval.items_differ`, the arguments have different lengths.
        DataError: `data.empty`; `data.row_invalid` for a count that is not finite.
    """
    arms = [
        np.asarray(rows, dtype=np.float64).reshape(-1, NUM_BLEU_STATISTICS)
        for rows in (baseline, candidate)
    ]
    return _paired_estimate(
        arms[0], arms[1], corpus_bleu_from_statistics, clusters, num_resamples, level, seed
    )


def compare_paired(
    baseline: Mapping[str, float],
    candidate: Mapping[str, float],
    *,
    clusters: Mapping[str, str] | None = None,
    higher_is_better: bool = True,
    tie_tolerance: float = 1e-9,
    num_resamples: int = NUM_RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> PairedComparison:
    """Returns the comparison of two results joined by item id, whatever their order.

    Definition: means, difference and ratio over the items that both sides scored; each of those
        items improved, regressed or tied; every other item is missing.
    Direction: difference and ratio follow the score; improved and regressed follow
        `higher_is_better`.
    Source: `paired_bootstrap`.

    Args:
        baseline: score by item id.
        candidate: score by item id.
        clusters: cluster by item id, at least for the items on both sides.
        tie_tolerance: scores closer than this are tied.

    Raises:
        EvaluationError: `eval.items_differ`, no item on both sides or one without a cluster.
        DataError: `data.row_invalid`, a score is not finite.
    """
    # Sorted, so that the draws and with them the interval do not depend on the mappings' order.
    shared = sorted(baseline.keys() & candidate.keys())
    if not shared:
        raise EvaluationError(
            "eval.items_differ",
            f"none of the baseline's {len(baseline)} items is among the candidate's"
            f" {len(candidate)}; compare results on the same test set",
        )
    if clusters is not None and (unassigned := [item for item in shared if item not in clusters]):
        raise EvaluationError(
            "eval.items_differ",
            f"{len(unassigned)} items have no cluster, the first is {unassigned[0]!r};"
            " give a cluster to each item or to none",
        )
    before = np.array([baseline[item] for item in shared], dtype=np.float64)
    after = np.array([candidate[item] for item in shared], dtype=np.float64)
    estimate = paired_bootstrap(
        before,
        after,
        clusters=None if clusters is None else [clusters[item] for item in shared],
        num_resamples=num_resamples,
        level=level,
        seed=seed,
    )
    gain = after - before if higher_is_better else before - after
    improved = int((gain > tie_tolerance).sum())
    regressed = int((gain < -tie_tolerance).sum())
    return PairedComparison(
        baseline=estimate.baseline,
        candidate=estimate.candidate,
        difference=estimate.difference,
        difference_interval=estimate.difference_interval,
        ratio=estimate.ratio,
        ratio_interval=estimate.ratio_interval,
        n=estimate.n,
        num_units=estimate.num_units,
        improved=improved,
        regressed=regressed,
        tied=len(shared) - improved - regressed,
        missing=len(baseline.keys() | candidate.keys()) - len(shared),
    )


def mcnemar_exact(num_regressed: int, num_improved: int) -> float:
    """Returns the two-sided exact p value that flips in both directions are equally likely.

    Definition: min(1, 2 * P(X <= min(flips))) with X binomial(regressed + improved, 1/2).
    Direction: small means that the change has a direction; it says nothing of its size.
    Source: McNemar 1947, exact form; equals `scipy.stats.binomtest`.
    """
    num_flips = num_regressed + num_improved
    term = tail = 1
    for chosen in range(min(num_regressed, num_improved)):
        term = term * (num_flips - chosen) // (chosen + 1)  # exact: binomial coefficients
        tail += term
    return min(1.0, 2 * tail / (1 << num_flips))


def cluster_sums(columns: FloatArray, clusters: Sequence[str] | None) -> FloatArray:
    """Returns one row of column sums for each cluster, or `columns` itself without clusters.

    Raises:
        EvaluationError: `eval.items_differ`, not one cluster for each row.
    """
    if clusters is None:
        return columns
    if len(clusters) != len(columns):
        raise EvaluationError(
            "eval.items_differ",
            f"{len(clusters)} clusters for {len(columns)} items; give one for each item",
        )
    names, index = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    sums = np.zeros((len(names), columns.shape[1]))
    np.add.at(sums, index, columns)
    return sums


def bootstrap_sums(
    units: FloatArray, *, num_resamples: int, rng: np.random.Generator
) -> FloatArray:
    """Returns column sums over `num_resamples` draws of n units with replacement.

    Args:
        units: what is drawn, shape [n, k].

    Returns:
        Shape [num_resamples, k].
    """
    n = len(units)
    sums = np.empty((num_resamples, units.shape[1]))
    weights = np.empty((min(_CHUNK, num_resamples), n))
    for start in range(0, num_resamples, _CHUNK):
        rows = min(_CHUNK, num_resamples - start)
        draws = rng.integers(0, n, size=(rows, n))
        for row in range(rows):
            weights[row] = np.bincount(draws[row], minlength=n)
        sums[start : start + rows] = weights[:rows] @ units
    return sums


def percentile_interval(values: FloatArray, level: float) -> Interval | None:
    """Returns the central interval of resampled values; a NaN is a value without any bound.

    None when a bound is infinite: more than (1 - level) / 2 of the values are NaN. Quantiles are
    observed values, taken outwards, so that no interpolation meets an infinity.
    """
    tail = (1.0 - level) / 2.0
    undefined = np.isnan(values)
    low = np.quantile(np.where(undefined, -np.inf, values), tail, method="lower")
    high = np.quantile(np.where(undefined, np.inf, values), 1.0 - tail, method="higher")
    if not (np.isfinite(low) and np.isfinite(high)):
        return None
    return Interval(low=float(low), high=float(high), level=level)


def positive_ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Returns numerator / denominator, NaN wherever the denominator is not positive."""
    is_positive = denominator > 0
    return np.where(is_positive, numerator / np.where(is_positive, denominator, 1.0), np.nan)


def _paired_estimate(
    baseline: FloatArray,
    candidate: FloatArray,
    statistic: Callable[[FloatArray], FloatArray],
    clusters: Sequence[str] | None,
    num_resamples: int,
    level: float,
    seed: int,
) -> PairedEstimate:
    n, width = baseline.shape
    if len(candidate) != n:
        raise EvaluationError(
            "eval.items_differ",
            f"{n} baseline scores for {len(candidate)} candidate scores; pair them by item id",
        )
    if n == 0:
        raise DataError("data.empty", "no item to compare; both results are empty")
    columns = np.hstack([baseline, candidate])
    if not np.isfinite(columns).all():
        row = int(np.flatnonzero(~np.isfinite(columns).all(axis=1))[0])
        raise DataError(
            "data.row_invalid",
            f"the scores of item {row} are {columns[row].tolist()}, not finite numbers;"
            " leave an item without a score out, so that it counts as missing",
        )
    units = cluster_sums(columns, clusters)
    before, after = (
        float(statistic(columns[:, arm].sum(axis=0))) for arm in (slice(width), slice(width, None))
    )
    difference_interval = ratio_interval = None
    if len(units) > 1:
        sums = bootstrap_sums(units, num_resamples=num_resamples, rng=np.random.default_rng(seed))
        resampled_before, resampled_after = statistic(sums[:, :width]), statistic(sums[:, width:])
        difference_interval = percentile_interval(resampled_after - resampled_before, level)
        ratio_interval = percentile_interval(
            positive_ratio(resampled_after, resampled_before), level
        )
    return PairedEstimate(
        baseline=before,
        candidate=after,
        difference=after - before,
        difference_interval=difference_interval,
        ratio=after / before if before > 0 else None,
        ratio_interval=ratio_interval if before > 0 else None,
        n=n,
        num_units=len(units),
    )


def _with_count(scores: FloatArray) -> FloatArray:
    return np.column_stack([scores, np.ones(len(scores))])


def _mean(sums: FloatArray) -> FloatArray:
    return np.asarray(sums[..., 0] / sums[..., 1])

"""How sure a figure is: bootstrap intervals of whole clusters, and McNemar's test.

Every statistic here is a function of column sums over items (a mean is score sum / item count, a
corpus BLEU is a function of ten counts), so one resampling routine, `bootstrap_sums`, serves all.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.contracts.estimates import Estimate, ResampledUnit, resampled_unit
from pipeline.errors import EvaluationError

NUM_RESAMPLES = 10_000
LEVEL = 0.95
# Rows of resampling weights held at once; 16 rows of 12,000 float64 stay inside a 2 MB cache.
_CHUNK = 16

FloatArray = NDArray[np.float64]


def estimate(
    value: float,
    drawn: FloatArray | None,
    *,
    level: float,
    n: int,
    num_units: int,
    resampled: ResampledUnit | None = None,
) -> Estimate:
    """Returns the figure with the percentile interval of its resampled values.

    Args:
        value: the figure itself.
        drawn: the figure of each resample, shape [num_resamples], NaN where it has none; None when
            there was nothing to resample.
        n: items behind the figure.
        num_units: units that were drawn; `resampled` follows from it unless given.
    """
    interval = None if drawn is None else percentile_interval(drawn, level)
    low, high = (None, None) if interval is None else interval
    return Estimate(
        value=value,
        low=low,
        high=high,
        level=None if interval is None else level,
        n=n,
        num_units=num_units,
        resampled=resampled or resampled_unit(n, num_units),
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
    blocks: Sequence[FloatArray], *, num_resamples: int, rng: np.random.Generator
) -> list[FloatArray]:
    """Returns column sums over `num_resamples` draws of n units with replacement.

    All blocks see the same draws: that is what makes a comparison paired, and what lets several
    measures share the time of drawing. Each block is multiplied by itself, so that its sums do not
    depend, in the last bit, on which other blocks there are.

    Args:
        blocks: what is drawn, each of shape [n, k] with its own k.

    Returns:
        Shape [num_resamples, k] for each block.
    """
    n = len(blocks[0])
    sums = [np.empty((num_resamples, block.shape[1])) for block in blocks]
    weights = np.empty((min(_CHUNK, num_resamples), n))
    for start in range(0, num_resamples, _CHUNK):
        rows = min(_CHUNK, num_resamples - start)
        draws = rng.integers(0, n, size=(rows, n))
        for row in range(rows):
            weights[row] = np.bincount(draws[row], minlength=n)
        for block, block_sums in zip(blocks, sums, strict=True):
            block_sums[start : start + rows] = weights[:rows] @ block
    return sums


def percentile_interval(values: FloatArray, level: float) -> tuple[float, float] | None:
    """Returns (low, high) of resampled values, central; a NaN is a value without any bound.

    None when a bound is infinite: more than (1 - level) / 2 of the values are NaN. Quantiles are
    observed values, taken outwards, so that no interpolation meets an infinity.
    """
    tail = (1.0 - level) / 2.0
    undefined = np.isnan(values)
    low = np.quantile(np.where(undefined, -np.inf, values), tail, method="lower")
    high = np.quantile(np.where(undefined, np.inf, values), 1.0 - tail, method="higher")
    if not (np.isfinite(low) and np.isfinite(high)):
        return None
    return float(low), float(high)


def positive_ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Returns numerator / denominator, NaN wherever the denominator is not positive."""
    is_positive = denominator > 0
    return np.where(is_positive, numerator / np.where(is_positive, denominator, 1.0), np.nan)

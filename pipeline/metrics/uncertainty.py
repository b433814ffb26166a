"""How sure a figure is: jackknife errors of whole clusters with Student's t, and McNemar's test.

Every figure here is a smooth function of sums over units (items, or whole clusters), so leaving
each unit out once says how much it moves the figure: its influence. Errors, covariances and
skewness follow from the influences; nothing is drawn, so no interval depends on a seed. What a
jackknife cannot see, because hardly any item differs, stands in `pipeline.metrics.exact_limits`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import EvaluationError
from pipeline.metrics.distributions import student_quantile

LEVEL = 0.95
_NO_SKEWNESS = 1e-12

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Strata:
    """Units are ordered by stratum (category)."""

    sizes: IntArray
    """Units of each stratum."""
    starts: IntArray
    """Where each begins."""

    @classmethod
    def of_sizes(cls, sizes: IntArray) -> "Strata":
        return cls(sizes, np.cumsum(sizes) - sizes)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Jackknifed:
    """A figure with the influence of each unit on it."""

    value: float
    influence: FloatArray
    """Shape [units]. Sums of squares are variances, sums of products of two figures covariances."""
    strata: "Strata"

    @property
    def has_error(self) -> bool:
        """False where a stratum is known from one unit: it would count as known exactly."""
        return int(self.strata.sizes.min()) > 1

    @property
    def variance(self) -> float:
        return float(self.influence @ self.influence)

    @property
    def degrees(self) -> float:
        """Degrees of freedom of the variance (Satterthwaite 1946): few where one stratum rules."""
        by_stratum = np.add.reduceat(self.influence**2, self.strata.starts)
        spare = self.strata.sizes - 1
        total = by_stratum.sum()
        if total == 0.0:
            return float(spare.sum())
        return float(total**2 / (by_stratum**2 / spare).sum())

    def minus(self, other: "Jackknifed", times: float = 1.0) -> "Jackknifed":
        """This figure less `times` the other's, over the same units."""
        return Jackknifed(
            value=self.value - times * other.value,
            influence=self.influence - times * other.influence,
            strata=self.strata,
        )


def jackknifed(value: float, left_out: FloatArray, strata: Strata | None = None) -> Jackknifed:
    """Returns the figure with its influences.

    Args:
        value: the figure of all units.
        left_out: the figure without each unit, shape [units].
        strata: of the units; one unless given.

    Source: the delete-one jackknife (Efron and Tibshirani 1993, chapter 11), in strata; with
        clusters of unequal size it errs on the wide side, which the linearised error does not.
    """
    strata = Strata.of_sizes(np.array([len(left_out)])) if strata is None else strata
    sizes = strata.sizes
    means = np.add.reduceat(left_out, strata.starts) / sizes
    influence = np.repeat(np.sqrt(1.0 - 1.0 / sizes), sizes) * (np.repeat(means, sizes) - left_out)
    return Jackknifed(value=value, influence=influence, strata=strata)


def student_interval(figure: Jackknifed, level: float) -> tuple[float, float]:
    """Returns the central interval of Student's t: for differences, whose skewness is slight."""
    half_width = _critical_value(figure, level) * math.sqrt(figure.variance)
    return figure.value - half_width, figure.value + half_width


def skew_corrected_interval(
    figure: Jackknifed, level: float, shrinkage: float = 4.0
) -> tuple[float, float]:
    """Returns the interval of Student's t, corrected for the skewness of the influences.

    For the level of a score, which is often skewed. The skewness is shrunk by `shrinkage` times its
    own variance: on symmetric scores with heavy tails an estimate of it is noise.
    Source: Hall 1992, a transformation that removes skewness by inverting a cubic.
    """
    n = len(figure.influence)
    scale = math.sqrt(figure.variance / n)
    critical = _critical_value(figure, level)
    if scale == 0.0:
        return figure.value, figure.value
    z = figure.influence / scale
    skewness = float(np.mean(z**3))
    slope = skewness / math.sqrt(n)
    if shrinkage:
        noise = float(np.mean((z**3 - 3 * z - skewness - 1.5 * skewness * (z**2 - 1)) ** 2)) / n
        slope *= max(0.0, 1.0 - shrinkage * noise / max(skewness**2, _NO_SKEWNESS))
    if slope**2 < _NO_SKEWNESS:  # the cubic is a straight line
        return student_interval(figure, level)
    error = math.sqrt(figure.variance)

    def corrected(t: float) -> float:
        return float(np.cbrt(1.0 + slope * (t - slope / 6.0)) - 1.0) * 3.0 / slope

    return figure.value - error * corrected(critical), figure.value - error * corrected(-critical)


def ratio_interval(
    numerator: Jackknifed, denominator: Jackknifed, level: float
) -> tuple[float, float] | None:
    """Returns all ratios r for which numerator - r * denominator is not distinguishable from 0.

    None where the denominator is itself not distinguishable from 0: no ratio is excluded then.
    Source: Fieller 1954, with Student's t.
    """
    ratio = numerator.value / denominator.value
    squared = _critical_value(numerator.minus(denominator, ratio), level) ** 2
    covariance = float(numerator.influence @ denominator.influence)
    a = denominator.value**2 - squared * denominator.variance
    b = numerator.value * denominator.value - squared * covariance
    c = numerator.value**2 - squared * numerator.variance
    if a <= 0.0:
        return None
    root = math.sqrt(max(b * b - a * c, 0.0))
    return (b - root) / a, (b + root) / a


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


def unit_numbers(clusters: Sequence[str] | None, num_items: int) -> IntArray:
    """Returns the number of each item's unit: its cluster's, or its own without clusters.

    Raises:
        EvaluationError: `eval.items_differ`, not one cluster for each item.
    """
    if clusters is None:
        return np.arange(num_items)
    if len(clusters) != num_items:
        raise EvaluationError(
            "eval.items_differ",
            f"{len(clusters)} clusters for {num_items} items; give one for each item",
        )
    numbers = {name: number for number, name in enumerate(sorted(set(clusters)))}
    return np.fromiter((numbers[name] for name in clusters), dtype=np.intp, count=num_items)


def unit_sums(columns: FloatArray, units: IntArray) -> FloatArray:
    """Returns the sums of each column over the items of each unit, shape [units, columns]."""
    num_units = int(units.max()) + 1
    if num_units == len(units):
        sums = np.empty_like(columns)
        sums[units] = columns
        return sums
    return np.column_stack([np.bincount(units, column, num_units) for column in columns.T])


def cluster_sums(columns: FloatArray, clusters: Sequence[str] | None) -> FloatArray:
    """Returns one row of column sums for each cluster, or `columns` itself without clusters.

    Raises:
        EvaluationError: `eval.items_differ`, not one cluster for each row.
    """
    return unit_sums(columns, unit_numbers(clusters, len(columns)))


def _critical_value(figure: Jackknifed, level: float) -> float:
    return student_quantile(0.5 + level / 2.0, figure.degrees)

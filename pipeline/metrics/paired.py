"""A candidate beside a baseline on the same items, and a set of items alone.

Which column a measure has and how a figure follows from it stands in `contracts.samples`; here is
the arithmetic, for recipes and pages alike.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.contracts.estimates import Estimate, PairedFigure
from pipeline.contracts.samples import Aggregation, Measure, Unit
from pipeline.errors import DataError, EvaluationError
from pipeline.metrics.corpus_bleu import NUM_BLEU_STATISTICS, corpus_bleu_from_statistics
from pipeline.metrics.estimation import (
    NO_REACH,
    Extent,
    difference_estimate,
    mean_estimate,
    positive_estimate,
    ratio_estimate,
    share_estimate,
)
from pipeline.metrics.exact_limits import Changes, changes_of
from pipeline.metrics.uncertainty import (
    LEVEL,
    FloatArray,
    IntArray,
    jackknifed,
    unit_numbers,
    unit_sums,
)

TIE_TOLERANCE = 1e-9
"""Scores closer than this are tied."""
_LARGEST: Mapping[Unit, float] = {
    "percent": 1.0,
    "points": 100.0,
    "tokens": math.inf,
    "bits_per_byte": 8.0,
}
"""The largest score there is, 8 bits being a byte written out; the least is 0."""


def compare_paired(
    measures: Sequence[Measure],
    baseline: Mapping[str, ArrayLike],
    candidate: Mapping[str, ArrayLike],
    *,
    clusters: Sequence[str] | None = None,
    num_missing: int = 0,
    level: float = LEVEL,
) -> dict[str, PairedFigure]:
    """Returns difference and ratio of each measure, with intervals, by its key.

    Definition: each item, or whole cluster, is left out once from both arms, which says how much it
        moves the figure; Student's t on these influences, Fieller's interval for the ratio. Where
        most items are the same in both arms, not less than the exact limits of rare changes. Each
        item improved, regressed or tied in the measure's direction.
    Direction: a positive difference or a ratio above 1 means that the candidate scores higher.
    Source: Efron and Tibshirani 1993, chapter 11; Fieller 1954; Fay and Feuer 1997; clusters:
        Miller 2024 (arXiv 2411.00640).

    Args:
        measures: those that a set of items has a figure of.
        baseline: by column of `measures`, one finite score (and weight) for each item, shape [n],
            or counts, shape [n, k].
        candidate: the same items in the same order.
        clusters: items of one cluster (passage, document, seed) rise and fall together.
        num_missing: items that only one side has.

    Raises:
        EvaluationError: `eval.items_differ`, the arms or the clusters have different lengths.
        DataError: `data.empty`; `data.row_invalid` for a score that is not finite.
    """
    columns: dict[str, tuple[FloatArray, FloatArray]] = {}
    for measure in measures:
        before, after = (_columns(measure, side) for side in (baseline, candidate))
        if len(before) != len(after):
            raise EvaluationError(
                "eval.items_differ",
                f"{len(before)} baseline scores for {len(after)} candidate scores; pair them by"
                " item id",
            )
        _check(np.hstack([before, after]))
        columns[measure.key] = before, after
    if not columns:
        return {}
    items = _Items.grouped(len(next(iter(columns.values()))[0]), clusters)
    return {
        measure.key: _paired_figure(measure, *columns[measure.key], items, num_missing, level)
        for measure in measures
    }


def summarize_items(
    measures: Sequence[Measure],
    scores: Mapping[str, ArrayLike],
    *,
    clusters: Sequence[str] | None = None,
    level: float = LEVEL,
) -> dict[str, Estimate]:
    """Returns each measure's figure of the set with its interval, by the measure's key.

    Definition: as `compare_paired`, of one arm: Student's t corrected for skewness (corpus BLEU on
        the scale of its logarithm, and so a weighted mean), the exact interval for scores that are
        0 or 1.
    Source: Hall 1992; Clopper and Pearson 1934. Args, Raises: as `compare_paired`.
    """
    columns = {measure.key: _columns(measure, scores) for measure in measures}
    for each in columns.values():
        _check(each)
    if not columns:
        return {}
    items = _Items.grouped(len(next(iter(columns.values()))), clusters)
    return {
        measure.key: _summary(measure, columns[measure.key], items, level) for measure in measures
    }


def pair_by_id(
    baseline: Mapping[str, object], candidate: Mapping[str, object]
) -> tuple[list[str], int]:
    """Returns (ids that both sides have, sorted; number of ids that only one has).

    Sorted, so that no sum depends, in its last bit, on the mappings' order.

    Raises:
        EvaluationError: `eval.items_differ`, no item on both sides.
    """
    shared = sorted(baseline.keys() & candidate.keys())
    if not shared:
        raise EvaluationError(
            "eval.items_differ",
            f"none of the baseline's {len(baseline)} items is among the candidate's"
            f" {len(candidate)}; compare results on the same test set",
        )
    return shared, len(baseline.keys() ^ candidate.keys())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Items:
    """Which items stand or fall together."""

    units: IntArray
    """Number of the unit of each item, shape [n]."""
    num_units: int
    strata: IntArray

    @classmethod
    def grouped(cls, num_items: int, clusters: Sequence[str] | None) -> "_Items":
        units = unit_numbers(clusters, num_items)
        return cls(
            units=units,
            num_units=int(units.max()) + 1,
            strata=np.zeros(num_items, dtype=np.intp),
        )

    def extent(self, level: float) -> Extent:
        return Extent(n=len(self.units), num_units=self.num_units, level=level)

    def changes(
        self, values: FloatArray, weights: FloatArray, bounds: tuple[float, float]
    ) -> Changes | None:
        return changes_of(
            values, weights=weights, units=self.units, strata=self.strata, bounds=bounds
        )


def _columns(measure: Measure, side: Mapping[str, ArrayLike]) -> FloatArray:
    """What is summed: weighted score and weight of a mean, the counts of corpus BLEU."""
    scores = np.asarray(side[measure.column], dtype=np.float64)
    if measure.aggregation == "corpus_bleu":
        return scores.reshape(-1, NUM_BLEU_STATISTICS)
    if measure.weight is None:
        return np.column_stack([scores, np.ones(len(scores))])
    weights = np.asarray(side[measure.weight], dtype=np.float64)
    return np.column_stack([scores * weights, weights])


def _item_scores(columns: FloatArray) -> FloatArray:
    """Of a measure that single items have."""
    return np.asarray(columns[:, 0] / columns[:, 1])


def _weights(measure: Measure, columns: FloatArray) -> FloatArray:
    """By how much each item counts in the figure; corpus BLEU has no such weights."""
    counts = columns[:, 1] if measure.has_item_score else np.ones(len(columns))
    return np.asarray(counts / counts.sum())


def _check(columns: FloatArray) -> None:
    if len(columns) == 0:
        raise DataError("data.empty", "no item to compare; the results are empty")
    is_finite = np.isfinite(columns).all(axis=1)
    if not is_finite.all():
        row = int(np.flatnonzero(~is_finite)[0])
        raise DataError(
            "data.row_invalid",
            f"the scores of item {row} are {columns[row].tolist()}, not finite numbers;"
            " leave an item without a score out, so that it counts as missing",
        )


def _mean(sums: FloatArray) -> FloatArray:
    return np.asarray(sums[..., 0] / sums[..., 1])


_STATISTICS: Mapping[Aggregation, Callable[[FloatArray], FloatArray]] = {
    "mean": _mean,
    "corpus_bleu": corpus_bleu_from_statistics,
}


def _left_out(measure: Measure, columns: FloatArray, units: IntArray) -> tuple[float, FloatArray]:
    """The figure of all items, and without each unit; a single unit is never left out."""
    statistic = _STATISTICS[measure.aggregation]
    total = columns.sum(axis=0)
    value = float(statistic(total))
    sums = unit_sums(columns, units)
    return value, np.full(1, value) if len(sums) == 1 else statistic(total - sums)


def _paired_figure(
    measure: Measure,
    before: FloatArray,
    after: FloatArray,
    items: _Items,
    num_missing: int,
    level: float,
) -> PairedFigure:
    arms = [jackknifed(*_left_out(measure, arm, items.units)) for arm in (before, after)]
    baseline, candidate = arms
    difference = candidate.minus(baseline)
    gains = _gains(measure, before, after)
    largest = _LARGEST[measure.unit]
    changes = None
    if gains is not None:
        changes = items.changes(gains, _weights(measure, after), (-largest, largest))
    reach = changes.reach(level) if changes is not None and items.num_units > 1 else NO_REACH
    extent = items.extent(level)
    improved = regressed = tied = None
    if measure.has_item_score:
        better = _item_scores(after) - _item_scores(before)
        if measure.direction == "lower":
            better = -better
        improved, regressed = _num_above_zero(better), _num_above_zero(-better)
        tied = len(better) - improved - regressed
    return PairedFigure(
        baseline=baseline.value,
        candidate=candidate.value,
        difference=difference_estimate(difference, reach, extent),
        ratio=ratio_estimate(candidate, baseline, reach, extent, lowest=0.0),
        improved=improved,
        regressed=regressed,
        tied=tied,
        missing=num_missing,
    )


def _gains(measure: Measure, before: FloatArray, after: FloatArray) -> FloatArray | None:
    """By how much each item is higher in the candidate; None where that is not defined.

    An item has no corpus BLEU: where most answers are the same in both arms, what leaving out one
    that differs takes from the difference, times the number of items.
    """
    if measure.has_item_score:
        return _item_scores(after) - _item_scores(before)
    is_changed = (before != after).any(axis=1)
    num_items = len(before)
    if 2 * np.count_nonzero(is_changed) > num_items:
        return None
    alone = np.arange(num_items)
    (low, lows), (high, highs) = (_left_out(measure, arm, alone) for arm in (before, after))
    difference = high - low
    return np.where(is_changed, difference + (num_items - 1) * (difference - (highs - lows)), 0.0)


def _num_above_zero(values: FloatArray) -> int:
    return int((values > TIE_TOLERANCE).sum())


def _summary(measure: Measure, columns: FloatArray, items: _Items, level: float) -> Estimate:
    extent, largest = items.extent(level), _LARGEST[measure.unit]
    value, left_out = _left_out(measure, columns, items.units)
    if not measure.has_item_score or measure.weight is not None:
        if value > 0.0 and left_out.min() > 0.0 and np.ptp(left_out) > TIE_TOLERANCE:
            logarithm = jackknifed(math.log(value), np.log(left_out))
            return positive_estimate(value, logarithm, largest, extent)
        scores = np.full(len(columns), value)  # all the same: nothing, or everything, matches
    else:
        scores = _item_scores(columns)
    changes = items.changes(scores, _weights(measure, columns), (0.0, largest))
    is_share = measure.unit == "percent" and bool(np.isin(scores, (0.0, 1.0)).all())
    if is_share and changes is not None:
        return share_estimate(changes, value, extent)
    reach = changes.reach(level) if changes is not None and items.num_units > 1 else NO_REACH
    return mean_estimate(jackknifed(value, left_out), reach, (0.0, largest), extent)

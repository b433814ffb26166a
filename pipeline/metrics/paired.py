"""A candidate beside a baseline on the same items, and a set of items alone: every measure at once.

Which column a measure has and how a figure follows from it stands in `contracts.samples`; here is
the arithmetic, for recipes and pages alike. All measures, and both arms, see the same draws.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from pipeline.contracts.estimates import Estimate, PairedFigure
from pipeline.contracts.samples import Aggregation, Measure
from pipeline.errors import DataError, EvaluationError
from pipeline.metrics.corpus_bleu import NUM_BLEU_STATISTICS, corpus_bleu_from_statistics
from pipeline.metrics.uncertainty import (
    LEVEL,
    NUM_RESAMPLES,
    FloatArray,
    bootstrap_sums,
    cluster_sums,
    estimate,
    positive_ratio,
)

TIE_TOLERANCE = 1e-9
"""Scores closer than this are tied."""


def _mean(sums: FloatArray) -> FloatArray:
    return np.asarray(sums[..., 0] / sums[..., 1])


_STATISTICS: Mapping[Aggregation, Callable[[FloatArray], FloatArray]] = {
    "mean": _mean,
    "corpus_bleu": corpus_bleu_from_statistics,
}


def compare_paired(
    measures: Sequence[Measure],
    baseline: Mapping[str, ArrayLike],
    candidate: Mapping[str, ArrayLike],
    *,
    clusters: Sequence[str] | None = None,
    num_missing: int = 0,
    num_resamples: int = NUM_RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, PairedFigure]:
    """Returns difference and ratio of each measure, with percentile intervals, by its key.

    Definition: items (whole clusters where given) are drawn with replacement, the same draw for
        both arms and all measures; the bounds are quantiles of the statistic over the draws. Each
        item improved, regressed or tied in the measure's direction.
    Direction: a positive difference or a ratio above 1 means that the candidate scores higher.
    Source: Efron and Tibshirani 1993, chapter 13; clusters: Miller 2024 (arXiv 2411.00640); corpus
        BLEU: Koehn 2004.

    Args:
        measures: those that a set of items has a figure of.
        baseline: by column of `measures`, one finite score for each item, shape [n], or counts,
            shape [n, k].
        candidate: the same items in the same order.
        clusters: items of one cluster (passage, document, seed) rise and fall together.
        num_missing: items that only one side has.

    Raises:
        EvaluationError: `eval.items_differ`, the arms or the clusters have different lengths.
        DataError: `data.empty`; `data.row_invalid` for a score that is not finite.
    """
    blocks = []
    for measure in measures:
        before, after = (_columns(measure, side[measure.column]) for side in (baseline, candidate))
        if len(before) != len(after):
            raise EvaluationError(
                "eval.items_differ",
                f"{len(before)} baseline scores for {len(after)} candidate scores; pair them by"
                " item id",
            )
        blocks.append(_checked(np.hstack([before, after])))
    units, drawn = _resampled(blocks, clusters, num_resamples, seed)
    return {
        measure.key: _paired_figure(
            measure, block, draws, num_units=len(units[0]), num_missing=num_missing, level=level
        )
        for measure, block, draws in zip(measures, blocks, drawn, strict=True)
    }


def summarize_items(
    measures: Sequence[Measure],
    scores: Mapping[str, ArrayLike],
    *,
    clusters: Sequence[str] | None = None,
    num_resamples: int = NUM_RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Returns each measure's figure of the set with its percentile interval, by the measure's key.

    Definition, Source, Args, Raises: as `compare_paired`, of one arm.
    """
    blocks = [_checked(_columns(measure, scores[measure.column])) for measure in measures]
    units, drawn = _resampled(blocks, clusters, num_resamples, seed)
    figures = {}
    for measure, block, draws in zip(measures, blocks, drawn, strict=True):
        statistic = _STATISTICS[measure.aggregation]
        figures[measure.key] = estimate(
            float(statistic(block.sum(axis=0))),
            None if draws is None else statistic(draws),
            level=level,
            n=len(block),
            num_units=len(units[0]),
        )
    return figures


def pair_by_id(
    baseline: Mapping[str, object], candidate: Mapping[str, object]
) -> tuple[list[str], int]:
    """Returns (ids that both sides have, sorted; number of ids that only one has).

    Sorted, so that the draws and with them the interval do not depend on the mappings' order.

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


def _columns(measure: Measure, values: ArrayLike) -> FloatArray:
    """What is summed: score and count of a mean, the counts of corpus BLEU."""
    scores = np.asarray(values, dtype=np.float64)
    if measure.aggregation == "corpus_bleu":
        return scores.reshape(-1, NUM_BLEU_STATISTICS)
    return np.column_stack([scores, np.ones(len(scores))])


def _checked(columns: FloatArray) -> FloatArray:
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
    return columns


def _resampled(
    blocks: Sequence[FloatArray], clusters: Sequence[str] | None, num_resamples: int, seed: int
) -> tuple[list[FloatArray], Sequence[FloatArray | None]]:
    """What is drawn of each block, and its sums over the draws; None with a single unit."""
    # Grouped once for all measures: naming the clusters of 20,000 rows costs more than adding.
    sums = cluster_sums(np.hstack(blocks), clusters)
    bounds = np.cumsum([block.shape[1] for block in blocks])[:-1]
    units = [np.ascontiguousarray(part) for part in np.split(sums, bounds, axis=1)]
    if len(units[0]) < 2:
        return units, [None] * len(blocks)
    rng = np.random.default_rng(seed)
    return units, bootstrap_sums(units, num_resamples=num_resamples, rng=rng)


def _paired_figure(
    measure: Measure,
    block: FloatArray,
    drawn: FloatArray | None,
    *,
    num_units: int,
    num_missing: int,
    level: float,
) -> PairedFigure:
    statistic = _STATISTICS[measure.aggregation]
    width = block.shape[1] // 2
    arms = slice(width), slice(width, None)
    before, after = (float(statistic(block[:, arm].sum(axis=0))) for arm in arms)
    differences = ratios = None
    if drawn is not None:
        drawn_before, drawn_after = (statistic(drawn[:, arm]) for arm in arms)
        differences = drawn_after - drawn_before
        ratios = positive_ratio(drawn_after, drawn_before)
    n = len(block)
    improved = regressed = tied = None
    if measure.has_item_score:
        gain = block[:, width] - block[:, 0]
        if measure.direction == "lower":
            gain = -gain
        improved = int((gain > TIE_TOLERANCE).sum())
        regressed = int((gain < -TIE_TOLERANCE).sum())
        tied = n - improved - regressed
    return PairedFigure(
        baseline=before,
        candidate=after,
        difference=estimate(after - before, differences, level=level, n=n, num_units=num_units),
        ratio=(
            estimate(after / before, ratios, level=level, n=n, num_units=num_units)
            if before > 0
            else None
        ),
        improved=improved,
        regressed=regressed,
        tied=tied,
        missing=num_missing,
    )

"""Two sets of answers to the same questions, compared pair by pair."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from pipeline.contracts.estimates import PairedFigure
from pipeline.contracts.samples import measures_of
from pipeline.metrics.paired import compare_paired, pair_by_id

COMPARED = tuple(
    measure
    for measure in measures_of("text_overlap", aggregated=True)
    if measure.direction == "higher"
)
"""The overlaps; length, cuts and repetition describe answers and stand beside them."""

Row = Mapping[str, object]


def compare_overlap(baseline: Sequence[Row], candidate: Sequence[Row]) -> dict[str, PairedFigure]:
    """Paired difference and ratio of ROUGE and corpus BLEU-4, with intervals, by measure.

    Questions about one document stand or fall together.

    Args:
        baseline: rows of `samples.parquet`, task `text_overlap`.
        candidate: as `baseline`.

    Raises:
        EvaluationError: `eval.items_differ` when no question was answered by both.
    """
    sides = [{str(row["item_id"]): row for row in rows} for rows in (baseline, candidate)]
    shared, num_missing = pair_by_id(*sides)
    before, after = ([side[item_id] for item_id in shared] for side in sides)
    return compare_paired(
        COMPARED,
        _columns(before),
        _columns(after),
        clusters=[
            str(row["cluster"] or f"item:{item_id}")
            for item_id, row in zip(shared, after, strict=True)
        ],
        num_missing=num_missing,
    )


def _columns(rows: Sequence[Row]) -> dict[str, ArrayLike]:
    return {
        measure.column: np.array([row[measure.column] for row in rows], dtype=np.float64)
        for measure in COMPARED
    }

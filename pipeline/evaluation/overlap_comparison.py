"""Two sets of answers to the same questions, compared pair by pair."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.contracts.estimates import PairedFigure
from pipeline.contracts.samples import Measure, measures_of
from pipeline.metrics.paired import compare_paired, pair_by_id
from pipeline.metrics.uncertainty import FloatArray

COMPARED = tuple(
    measure
    for measure in measures_of("text_overlap", aggregated=True)
    if measure.unit in ("points", "bits_per_byte")
)
"""Overlaps and the likelihood of the references; length, cuts and repetition describe answers and
stand beside them."""

Row = Mapping[str, object]


def compare_overlap(baseline: Sequence[Row], candidate: Sequence[Row]) -> dict[str, PairedFigure]:
    """Paired difference and ratio of each of `COMPARED`, with intervals, by measure.

    Questions about one document stand or fall together. A measure that rows written before it lack
    is left out.

    Args:
        baseline: rows of `samples.parquet`, task `text_overlap`.
        candidate: as `baseline`.

    Raises:
        EvaluationError: `eval.items_differ` when no question was answered by both.
    """
    sides = [{str(row["item_id"]): row for row in rows} for rows in (baseline, candidate)]
    shared, num_missing = pair_by_id(*sides)
    before, after = ([side[item_id] for item_id in shared] for side in sides)
    measures = [
        measure
        for measure in COMPARED
        if all(row.get(name) is not None for row in (*before, *after) for name in measure.columns)
    ]
    return compare_paired(
        measures,
        columns_of(measures, before),
        columns_of(measures, after),
        clusters=[
            str(row["cluster"] or f"item:{item_id}")
            for item_id, row in zip(shared, after, strict=True)
        ],
        num_missing=num_missing,
    )


def columns_of(measures: Sequence[Measure], rows: Sequence[Row]) -> dict[str, FloatArray]:
    """The measures' columns of the rows, in the rows' order."""
    return {
        name: np.array([row[name] for row in rows], dtype=np.float64)
        for measure in measures
        for name in measure.columns
    }

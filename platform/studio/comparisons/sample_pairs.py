"""The items of two results side by side: outcome of each, order, and what the filters leave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from numpy.typing import NDArray

from pipeline.contracts.samples import Task
from pipeline.metrics.paired import TIE_TOLERANCE
from studio.measures.labels import ShownMeasure, item_measures
from studio.measures.resampling import pair_rows
from studio.measures.sample_files import SamplesFile
from studio.measures.score_tables import FloatArray, ScoreTable, load_scores

OUTCOMES: Mapping[str, Promise] = {
    "all": _("All"),
    "a": _("A wins"),
    "b": _("B wins"),
    "tie": _("Tie"),
    "differ": _("Answers differ"),
    "missing": _("Missing"),
}
SORTS: Mapping[str, Promise] = {
    "change": _("largest difference first, regressions before gains"),
    "regressions": _("worst regression first"),
    "item": _("as in the data set"),
}
_MAX_CACHED = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplePairs:
    """All items of two results of one task, in the baseline's order, then what only B has."""

    item_ids: tuple[str, ...]
    categories: tuple[str, ...]
    rows_a: NDArray[np.intp]
    """Row in the baseline's table; -1 where it has none."""
    rows_b: NDArray[np.intp]
    is_paired: NDArray[np.bool_]
    """Both sides have the item and mean the same question by it."""
    answers_differ: NDArray[np.bool_]
    differences: Mapping[str, FloatArray]
    """B - A by column of the measures that both have; NaN where the item is not paired."""

    def gain(self, measure: ShownMeasure) -> FloatArray:
        """B over A in the direction that is better; NaN where the item is not paired."""
        difference = self.differences[measure.column]
        return -difference if measure.direction == "lower" else difference

    def outcomes(self, measure: ShownMeasure) -> dict[str, NDArray[np.bool_]]:
        """Which items each filter leaves."""
        gain = self.gain(measure)
        b_wins, a_wins = gain > TIE_TOLERANCE, gain < -TIE_TOLERANCE
        return {
            "all": np.ones(len(gain), dtype=np.bool_),
            "a": a_wins,
            "b": b_wins,
            "tie": self.is_paired & ~a_wins & ~b_wins,
            "differ": self.answers_differ,
            "missing": ~self.is_paired,
        }

    def ordered(
        self, measure: ShownMeasure, *, outcome: str, sort: str, category: str = ""
    ) -> Sequence[str]:
        """Ids of the items that the filters leave, in the order asked for; missing ones last."""
        keep = self.outcomes(measure)[outcome]
        if category:
            keep = keep & np.array([name == category for name in self.categories])
        gain = self.gain(measure)
        order = np.arange(len(gain))
        if sort == "change":
            # Of differences of one size the regression comes first; NaN sorts last.
            order = np.lexsort((gain, -np.abs(gain)))
        elif sort == "regressions":
            order = np.argsort(gain, kind="stable")
        return [self.item_ids[index] for index in order if keep[index]]


@lru_cache(maxsize=_MAX_CACHED)
def sample_pairs(baseline: SamplesFile, candidate: SamplesFile, task: Task) -> SamplePairs:
    """Every item that either result has.

    Raises:
        DataError: of `load_scores`.
    """
    a, b = load_scores(baseline, task), load_scores(candidate, task)
    index_a, index_b = a.index, b.index
    item_ids = (*a.item_ids, *(item_id for item_id in b.item_ids if item_id not in index_a))
    rows_a = np.array([index_a.get(item_id, -1) for item_id in item_ids], dtype=np.intp)
    rows_b = np.array([index_b.get(item_id, -1) for item_id in item_ids], dtype=np.intp)
    position = {item_id: index for index, item_id in enumerate(item_ids)}
    pairs, _num_conflicting, _num_one_sided = pair_rows(a, b)
    is_paired = np.zeros(len(item_ids), dtype=np.bool_)
    for row, _other in pairs:
        is_paired[position[a.item_ids[row]]] = True
    answers_differ = np.zeros(len(item_ids), dtype=np.bool_)
    answers_differ[is_paired] = a.answers[rows_a[is_paired]] != b.answers[rows_b[is_paired]]
    return SamplePairs(
        item_ids=item_ids,
        categories=tuple(
            a.categories[row] if row >= 0 else b.categories[other]
            for row, other in zip(rows_a, rows_b, strict=True)
        ),
        rows_a=rows_a,
        rows_b=rows_b,
        is_paired=is_paired,
        answers_differ=answers_differ,
        differences={
            measure.column: _differences(
                a.columns[measure.column], b.columns[measure.column], rows_a, rows_b, is_paired
            )
            for measure in shared_item_measures(task, a, b)
        },
    )


def shared_item_measures(task: Task, *tables: ScoreTable) -> list[ShownMeasure]:
    """The measures of single items that every table has: a result may be older than a measure."""
    return [
        measure
        for measure in item_measures(task)
        if all(measure.column in table.columns for table in tables)
    ]


def _differences(
    before: FloatArray,
    after: FloatArray,
    rows_a: NDArray[np.intp],
    rows_b: NDArray[np.intp],
    is_paired: NDArray[np.bool_],
) -> FloatArray:
    differences = np.full(len(rows_a), np.nan)
    differences[is_paired] = after[rows_b[is_paired]] - before[rows_a[is_paired]]
    return differences

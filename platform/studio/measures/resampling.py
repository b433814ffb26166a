"""Figures of results, alone and in pairs, with intervals by `pipeline.metrics.paired`.

A measure that a result has no column of (it is older than the measure) has no figure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.contracts.base import Contract
from pipeline.contracts.estimates import Estimate, PairedFigure
from pipeline.contracts.samples import TASKS, Measure, Task, measures_of
from pipeline.metrics.decisions import family_level
from pipeline.metrics.paired import compare_paired, summarize_items
from pipeline.metrics.paired_tests import paired_p_values
from pipeline.metrics.uncertainty import LEVEL
from studio.measures.documents import Documents
from studio.measures.sample_files import SamplesFile
from studio.measures.score_tables import FloatArray, ScoreTable, load_scores

VERSION = 4
"""Change whenever a stored figure would come out differently, or is stored in another form."""


class ResultFigures(Contract):
    """What one result's own rows say."""

    tasks: dict[Task, dict[Documents, dict[str, Estimate]]]
    """Figures by measure, apart for the documents they rest on."""

    def figure(self, task: Task, documents: Documents, measure: str) -> Estimate | None:
        """None where the result has no such item, or no such score."""
        return self.tasks.get(task, {}).get(documents, {}).get(measure)


class TaskPair(Contract):
    """One task of two results."""

    num_baseline: int
    num_candidate: int
    num_paired: int
    num_conflicting: int
    """Ids that stand for different questions in the two; never paired."""
    measures: dict[str, PairedFigure]
    """Those that both results have; none when no item is paired."""
    p_values: dict[str, float]
    """Of no difference, by itself, for each of `measures` that is better in one direction."""


class PairFigures(Contract):
    """Two results on the same items."""

    tasks: dict[Task, TaskPair]

    def figure(self, task: Task, measure: str) -> PairedFigure | None:
        """None where nothing is paired, or one of the two has no such score."""
        pair = self.tasks.get(task)
        return None if pair is None else pair.measures.get(measure)


class FamilyFigures(Contract):
    """Two results on the same items, with intervals that hold together with others of a family."""

    tasks: dict[Task, dict[str, PairedFigure]]

    def figure(self, task: Task, measure: str) -> PairedFigure | None:
        """None where nothing is paired, or one of the two has no such score."""
        return self.tasks.get(task, {}).get(measure)


def num_items(file: SamplesFile) -> int:
    """Rows of all tasks, which is what the time of comparing grows with."""
    return sum(len(load_scores(file, task).item_ids) for task in TASKS)


def summarize_result(file: SamplesFile) -> ResultFigures:
    """The figures of one result.

    Raises:
        DataError: of `load_scores`.
    """
    tasks: dict[Task, dict[Documents, dict[str, Estimate]]] = {}
    for task in TASKS:
        table = load_scores(file, task)
        # Questions of general ability rest on no document of ours.
        choices = list(Documents) if task == "text_overlap" else [Documents.ALL]
        selections = {documents: _rows(table, documents) for documents in choices}
        tasks[task] = {
            documents: _summary(table, task, rows)
            for documents, rows in selections.items()
            if len(rows)
        }
    return ResultFigures(tasks=tasks)


def compare_results(
    baseline: SamplesFile, candidate: SamplesFile, documents: Documents
) -> PairFigures:
    """The figures of two results; tasks without a shared item have no measures.

    Raises:
        DataError: of `load_scores`.
    """
    return PairFigures(
        tasks={task: _comparison(_paired(baseline, candidate, task, documents)) for task in TASKS}
    )


def compare_in_family(
    baseline: SamplesFile, candidate: SamplesFile, documents: Documents, num_tests: int
) -> FamilyFigures:
    """The same figures, each interval at the level that `num_tests` of them need to hold together.

    Raises:
        DataError: of `load_scores`.
    """
    level = family_level(num_tests)
    paired = {task: _paired(baseline, candidate, task, documents) for task in TASKS}
    return FamilyFigures(tasks={task: _measured(one, level) for task, one in paired.items()})


def pair_rows(
    baseline: ScoreTable, candidate: ScoreTable, documents: Documents = Documents.ALL
) -> tuple[list[tuple[int, int]], int, int]:
    """Rows of both tables that hold the same question, ordered by item id.

    Returns:
        The pairs, how many ids stand for different questions in the two (never paired), and how
        many items only one side has.
    """
    before = {baseline.item_ids[row]: row for row in _rows(baseline, documents)}
    after = {candidate.item_ids[row]: row for row in _rows(candidate, documents)}
    shared = sorted(before.keys() & after.keys())
    pairs = [
        (before[item], after[item])
        for item in shared
        if baseline.questions[before[item]] == candidate.questions[after[item]]
    ]
    return pairs, len(shared) - len(pairs), len(before.keys() ^ after.keys())


def _rows(table: ScoreTable, documents: Documents) -> NDArray[np.intp]:
    if documents == Documents.ALL:
        return np.arange(len(table.item_ids))
    return np.flatnonzero(table.is_unseen == (documents == Documents.UNSEEN))


def _summary(table: ScoreTable, task: Task, rows: NDArray[np.intp]) -> dict[str, Estimate]:
    measures = _measures(task, table)
    if not measures:
        return {}
    return summarize_items(
        measures,
        _columns(table, rows),
        clusters=[table.clusters[row] for row in rows],
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Paired:
    """The scores of two results on the items that both have, in the same order."""

    measures: Sequence[Measure]
    """Those that both have; none when no item is paired."""
    before: Mapping[str, FloatArray]
    after: Mapping[str, FloatArray]
    clusters: Sequence[str]
    num_baseline: int
    num_candidate: int
    num_conflicting: int
    num_missing: int


def _paired(
    baseline: SamplesFile, candidate: SamplesFile, task: Task, documents: Documents
) -> _Paired:
    before, after = load_scores(baseline, task), load_scores(candidate, task)
    pairs, num_conflicting, num_one_sided = pair_rows(before, after, documents)
    rows = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    return _Paired(
        measures=_measures(task, before, after) if pairs else [],
        before=_columns(before, rows[:, 0]),
        after=_columns(after, rows[:, 1]),
        clusters=[after.clusters[row] for row in rows[:, 1]],
        num_baseline=len(_rows(before, documents)),
        num_candidate=len(_rows(after, documents)),
        num_conflicting=num_conflicting,
        num_missing=num_conflicting + num_one_sided,
    )


def _comparison(paired: _Paired) -> TaskPair:
    judged = [measure for measure in paired.measures if measure.direction != "neutral"]
    return TaskPair(
        num_baseline=paired.num_baseline,
        num_candidate=paired.num_candidate,
        num_paired=len(paired.clusters),
        num_conflicting=paired.num_conflicting,
        measures=_measured(paired, LEVEL),
        p_values=paired_p_values(judged, paired.before, paired.after, clusters=paired.clusters),
    )


def _measured(paired: _Paired, level: float) -> dict[str, PairedFigure]:
    if not paired.measures:
        return {}
    return compare_paired(
        paired.measures,
        paired.before,
        paired.after,
        clusters=paired.clusters,
        num_missing=paired.num_missing,
        level=level,
    )


def _measures(task: Task, *tables: ScoreTable) -> list[Measure]:
    """The measures that every table has a column of."""
    return [
        measure
        for measure in measures_of(task, aggregated=True)
        if all(measure.column in table.columns for table in tables)
    ]


def _columns(table: ScoreTable, rows: NDArray[np.intp]) -> dict[str, FloatArray]:
    return {name: values[rows] for name, values in table.columns.items()}

"""Figures of results, alone and in pairs, with bootstrap intervals by `pipeline.metrics.paired`.

All measures of a task are resampled in one pass: 20,000 rows take seconds. A measure that a result
has no column of (it is older than the measure) has no figure.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.contracts.base import Contract
from pipeline.contracts.estimates import Estimate, PairedFigure
from pipeline.contracts.samples import TASKS, Measure, Task, measures_of
from pipeline.metrics.paired import compare_paired, summarize_items
from studio.measures.documents import Documents
from studio.measures.sample_files import SamplesFile
from studio.measures.score_tables import FloatArray, ScoreTable, load_scores

VERSION = 2
"""Change whenever a stored figure would come out differently, or is stored in another form."""
SEED = 0


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


class PairFigures(Contract):
    """Two results on the same items."""

    tasks: dict[Task, TaskPair]

    def figure(self, task: Task, measure: str) -> PairedFigure | None:
        """None where nothing is paired, or one of the two has no such score."""
        pair = self.tasks.get(task)
        return None if pair is None else pair.measures.get(measure)


def num_items(file: SamplesFile) -> int:
    """Rows of all tasks, which is what a bootstrap's time grows with."""
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
        tasks={
            task: _comparison(
                load_scores(baseline, task), load_scores(candidate, task), task, documents
            )
            for task in TASKS
        }
    )


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
        seed=SEED,
    )


def _comparison(
    baseline: ScoreTable, candidate: ScoreTable, task: Task, documents: Documents
) -> TaskPair:
    pairs, num_conflicting, num_one_sided = pair_rows(baseline, candidate, documents)
    figures: dict[str, PairedFigure] = {}
    measures = _measures(task, baseline, candidate)
    if pairs and measures:
        before_rows, after_rows = (np.array(rows) for rows in zip(*pairs, strict=True))
        figures = compare_paired(
            measures,
            _columns(baseline, before_rows),
            _columns(candidate, after_rows),
            clusters=[candidate.clusters[row] for row in after_rows],
            num_missing=num_conflicting + num_one_sided,
            seed=SEED,
        )
    return TaskPair(
        num_baseline=len(_rows(baseline, documents)),
        num_candidate=len(_rows(candidate, documents)),
        num_paired=len(pairs),
        num_conflicting=num_conflicting,
        measures=figures,
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

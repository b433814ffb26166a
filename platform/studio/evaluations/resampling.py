"""Figures of results, alone and in pairs, with bootstrap intervals by `pipeline.metrics.paired`.

All measures of a task are resampled in one pass: 20,000 rows take seconds. A measure that a result
has no column of (it is older than the measure) has no figure.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.contracts.samples import Measure, measures_of
from pipeline.metrics.paired import compare_paired, summarize_items
from studio.evaluations.models import Documents
from studio.evaluations.sample_files import TASKS, SamplesFile, ScoreTable, Task, load_scores

VERSION = 2
"""Change whenever a stored figure would come out differently."""
SEED = 0

FloatArray = NDArray[np.float64]


def num_items(file: SamplesFile) -> int:
    """Rows of all tasks, which is what a bootstrap's time grows with."""
    return sum(len(load_scores(file, task).item_ids) for task in TASKS)


def summarize_result(file: SamplesFile) -> dict[str, Any]:
    """`ResultSummary.figures` of one result.

    Raises:
        DataError: of `load_scores`.
    """
    figures: dict[str, Any] = {}
    for task in TASKS:
        table = load_scores(file, task)
        selections = {one: _rows(table, one) for one in Documents}
        figures[task] = {
            documents.value: _summary(table, task, rows)
            for documents, rows in selections.items()
            if len(rows) and not (documents != Documents.ALL and table.bleu_statistics is None)
        }
    return figures


def compare_results(
    baseline: SamplesFile, candidate: SamplesFile, documents: Documents
) -> dict[str, Any]:
    """`PairComparison.figures` of two results; tasks without a shared item have no measures.

    Raises:
        DataError: of `load_scores`.
    """
    return {
        task: _comparison(
            load_scores(baseline, task), load_scores(candidate, task), task, documents
        )
        for task in TASKS
    }


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


def _summary(table: ScoreTable, task: Task, rows: NDArray[np.intp]) -> dict[str, Any]:
    figures = summarize_items(
        _measures(task, table),
        _columns(table, rows),
        clusters=[table.clusters[row] for row in rows],
        seed=SEED,
    )
    return {key: one.model_dump(mode="json") for key, one in figures.items()}


def _comparison(
    baseline: ScoreTable, candidate: ScoreTable, task: Task, documents: Documents
) -> dict[str, Any]:
    pairs, num_conflicting, num_one_sided = pair_rows(baseline, candidate, documents)
    counts = {
        "num_baseline": len(_rows(baseline, documents)),
        "num_candidate": len(_rows(candidate, documents)),
        "num_paired": len(pairs),
        "num_conflicting": num_conflicting,
    }
    if not pairs:
        return counts | {"measures": {}}
    before_rows, after_rows = (np.array(rows) for rows in zip(*pairs, strict=True))
    figures = compare_paired(
        _measures(task, baseline, candidate),
        _columns(baseline, before_rows),
        _columns(candidate, after_rows),
        clusters=[candidate.clusters[row] for row in after_rows],
        num_missing=num_conflicting + num_one_sided,
        seed=SEED,
    )
    return counts | {"measures": {key: one.model_dump(mode="json") for key, one in figures.items()}}


def _measures(task: Task, *tables: ScoreTable) -> list[Measure]:
    """The measures that every table has a column of."""
    return [
        measure
        for measure in measures_of(task, aggregated=True)
        if all(measure.column in _names(table) for table in tables)
    ]


def _names(table: ScoreTable) -> set[str]:
    counts = set() if table.bleu_statistics is None else {"bleu_statistics"}
    return {*table.scores, *counts}


def _columns(table: ScoreTable, rows: NDArray[np.intp]) -> dict[str, FloatArray]:
    columns = {name: values[rows] for name, values in table.scores.items()}
    if table.bleu_statistics is not None:
        columns["bleu_statistics"] = table.bleu_statistics[rows]
    return columns

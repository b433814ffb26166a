"""Means and corpus BLEU of results, alone and in pairs, with bootstrap intervals.

The same draws and statistics as `pipeline.metrics.uncertainty.compare_paired` and
`paired_bleu_bootstrap` (a test compares them), for all measures of a task in one pass: resampling
20,000 rows takes seconds, and the measures of a task share their rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.corpus_bleu import corpus_bleu_from_statistics
from pipeline.metrics.uncertainty import (
    LEVEL,
    NUM_RESAMPLES,
    PairedComparison,
    bootstrap_sums,
    cluster_sums,
    percentile_interval,
    positive_ratio,
)
from studio.evaluations.measures import MEASURES
from studio.evaluations.models import Documents
from studio.evaluations.sample_files import TASKS, SamplesFile, ScoreTable, Task, load_scores

VERSION = 1
"""Change whenever a stored figure would come out differently."""
TIE_TOLERANCE = 1e-9
SEED = 0

FloatArray = NDArray[np.float64]
Statistics = Mapping[str, FloatArray]


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
    columns = _columns(table, task, rows)
    units = cluster_sums(columns, [table.clusters[row] for row in rows])
    value = _statistics(columns.sum(axis=0), task)
    drawn: Statistics = {}
    if len(units) > 1:
        rng = np.random.default_rng(SEED)
        sums = bootstrap_sums(units, num_resamples=NUM_RESAMPLES, rng=rng)
        drawn = _statistics(sums, task)
    figures = {}
    for name in value:
        interval = percentile_interval(drawn[name], LEVEL) if drawn else None
        figures[name] = {
            "value": float(value[name]),
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "level": LEVEL,
            "n": len(rows),
            "num_units": len(units),
        }
    return figures


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
    before = _columns(baseline, task, before_rows)
    after = _columns(candidate, task, after_rows)
    width = before.shape[1]
    columns = np.hstack([before, after])
    units = cluster_sums(columns, [candidate.clusters[row] for row in after_rows])
    drawn: tuple[Statistics, Statistics] | None = None
    if len(units) > 1:
        rng = np.random.default_rng(SEED)
        sums = bootstrap_sums(units, num_resamples=NUM_RESAMPLES, rng=rng)
        drawn = _statistics(sums[:, :width], task), _statistics(sums[:, width:], task)
    values = _statistics(before.sum(axis=0), task), _statistics(after.sum(axis=0), task)
    measures = {}
    for name in values[0]:
        gain = None
        if name in baseline.scores:
            gain = candidate.scores[name][after_rows] - baseline.scores[name][before_rows]
        measures[name] = asdict(
            _paired(
                name,
                float(values[0][name]),
                float(values[1][name]),
                None if drawn is None else (drawn[0][name], drawn[1][name]),
                gain,
                num_units=len(units),
                num_paired=len(pairs),
                num_missing=num_conflicting + num_one_sided,
            )
        )
    return counts | {"measures": measures}


def _paired(
    name: str,
    before: float,
    after: float,
    drawn: tuple[FloatArray, FloatArray] | None,
    gain: FloatArray | None,
    *,
    num_units: int,
    num_paired: int,
    num_missing: int,
) -> PairedComparison:
    if gain is not None and MEASURES[name].direction == "lower":
        gain = -gain
    # Corpus BLEU has no score of a single item, so nothing can be counted as better or worse.
    improved = 0 if gain is None else int((gain > TIE_TOLERANCE).sum())
    regressed = 0 if gain is None else int((gain < -TIE_TOLERANCE).sum())
    difference_interval = ratio_interval = None
    if drawn is not None:
        difference_interval = percentile_interval(drawn[1] - drawn[0], LEVEL)
        if before > 0:
            ratio_interval = percentile_interval(positive_ratio(drawn[1], drawn[0]), LEVEL)
    return PairedComparison(
        baseline=before,
        candidate=after,
        difference=after - before,
        difference_interval=difference_interval,
        ratio=after / before if before > 0 else None,
        ratio_interval=ratio_interval,
        n=num_paired,
        num_units=num_units,
        improved=improved,
        regressed=regressed,
        tied=0 if gain is None else num_paired - improved - regressed,
        missing=num_missing,
    )


def _columns(table: ScoreTable, task: Task, rows: Sequence[int] | NDArray[np.intp]) -> FloatArray:
    """What is summed: a one, each mean's score, and the counts behind corpus BLEU."""
    parts = [np.ones(len(rows))]
    parts += [table.scores[name][rows] for name in _mean_names(task)]
    columns = np.column_stack(parts)
    if table.bleu_statistics is None:
        return columns
    return np.hstack([columns, table.bleu_statistics[rows]])


def _statistics(sums: FloatArray, task: Task) -> Statistics:
    names = _mean_names(task)
    means = sums[..., 1 : 1 + len(names)] / sums[..., :1]
    statistics = {name: means[..., index] for index, name in enumerate(names)}
    if task == "text_overlap":
        statistics["bleu4"] = corpus_bleu_from_statistics(sums[..., 1 + len(names) :])
    return statistics


def _mean_names(task: Task) -> list[str]:
    return [
        name
        for name, measure in MEASURES.items()
        if measure.task == task and not measure.is_corpus_figure
    ]

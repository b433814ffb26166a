"""The numbers of all rows of a result, kept in memory by content digest: the files never change.

Items without a `cluster` are clusters of their own, as in the pipeline.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from django.utils.translation import gettext as _
from numpy.typing import NDArray

from pipeline.contracts.samples import ColumnType, Task, measures_of
from pipeline.errors import DataError
from studio.measures.sample_files import SamplesFile, measure_columns, read_columns

FloatArray = NDArray[np.float64]

_QUESTION_COLUMNS: Mapping[Task, tuple[str, ...]] = {
    "text_overlap": ("input", "reference"),
    "general_ability": ("input", "choices", "reference"),
}
# Results of one comparison page: six files with two tasks each.
_MAX_CACHED = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreTable:
    """The numbers of one task, one entry for each row in file order."""

    item_ids: tuple[str, ...]
    clusters: tuple[str, ...]
    categories: tuple[str, ...]
    is_unseen: NDArray[np.bool_]
    """Rests on a document kept out of training; False where there is no document."""
    columns: Mapping[str, FloatArray]
    """By column of the task's measures, and of their weights: shape [n], counts [n, k]. Without
    those that the file lacks or does not have for every row."""
    questions: NDArray[np.int64]
    """Equal for equal input, reference and choices. Only valid inside this process."""
    answers: NDArray[np.int64]
    """Equal for equal answers. Only valid inside this process."""

    @property
    def index(self) -> dict[str, int]:
        """Row by item id."""
        return {item_id: row for row, item_id in enumerate(self.item_ids)}


def load_scores(file: SamplesFile, task: Task) -> ScoreTable:
    """The numbers of every row of `task`; an empty table when the task was not run.

    Raises:
        DataError: of `read_columns`; `data.row_invalid`, an item id occurs twice.
    """
    return _load_scores(file.path, file.digest, task)


@lru_cache(maxsize=_MAX_CACHED)
def _load_scores(path: Path, digest: str, task: Task) -> ScoreTable:
    names = ["item_id", "category", "cluster", "document_seen", "answer"]
    table = read_columns(path, task, [*names, *_QUESTION_COLUMNS[task], *measure_columns(task)])
    item_ids = tuple(table["item_id"].to_pylist())
    if len(set(item_ids)) != len(item_ids):
        raise DataError(
            "data.row_invalid",
            _(
                "The samples of this result have an item id twice, so they cannot be paired; "
                "evaluate again on a data set whose ids are unique."
            ),
        )
    return ScoreTable(
        item_ids=item_ids,
        clusters=tuple(
            str(cluster or f"item:{item_id}")
            for cluster, item_id in zip(_values(table, "cluster"), item_ids, strict=True)
        ),
        categories=tuple(str(category or "") for category in _values(table, "category")),
        is_unseen=np.array([seen is False for seen in _values(table, "document_seen")], bool),
        columns={
            name: _scores(table, name, measure.type)
            for measure in measures_of(task)
            if all(_is_whole(table, column) for column in measure.columns)
            for name in measure.columns
        },
        questions=_hashes(table, _QUESTION_COLUMNS[task]),
        answers=_hashes(table, ("answer",)),
    )


def _is_whole(table: pa.Table, name: str) -> bool:
    return name in table.column_names and table[name].null_count == 0


def _scores(table: pa.Table, name: str, kind: ColumnType) -> FloatArray:
    column = table[name].combine_chunks()
    if kind == "int64_list":
        flat = np.asarray(column.flatten(), dtype=np.float64)
        return flat.reshape(len(column), len(flat) // max(1, len(column)))
    return np.asarray(column.cast(pa.float64()), dtype=np.float64)


def _values(table: pa.Table, name: str) -> Sequence[object]:
    """The column's values; None for each row where the file has no such column."""
    if name not in table.column_names:
        return [None] * table.num_rows
    values: list[object] = table[name].to_pylist()
    return values


def _hashes(table: pa.Table, names: Sequence[str]) -> NDArray[np.int64]:
    columns = [_values(table, name) for name in names]
    return np.fromiter((hash(repr(row)) for row in zip(*columns, strict=True)), dtype=np.int64)

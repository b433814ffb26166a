"""Reads `samples.parquet` of finished evaluations: numbers of all rows, texts of a few.

Numbers are kept in memory by content digest (the files never change); text is read for the rows of
one page only. Items without a `cluster` are clusters of their own, as in the pipeline.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from django.utils.translation import gettext as _
from numpy.typing import NDArray

from pipeline.errors import DataError
from pipeline.metrics.corpus_bleu import NUM_BLEU_STATISTICS

logger = logging.getLogger(__name__)

Task = Literal["text_overlap", "general_ability"]
TASKS: tuple[Task, ...] = ("text_overlap", "general_ability")

SCORE_COLUMNS: Mapping[Task, tuple[str, ...]] = {
    "text_overlap": (
        "rouge1",
        "rouge2",
        "rougeL",
        "sentence_bleu",
        "num_answer_tokens",
        "cut_at_cap",
        "repeated_4gram_rate",
    ),
    "general_ability": ("is_correct", "probability"),
}
_QUESTION_COLUMNS: Mapping[Task, tuple[str, ...]] = {
    "text_overlap": ("input", "reference"),
    "general_ability": ("input", "choices", "reference"),
}
_TEXT_COLUMNS: Mapping[Task, tuple[str, ...]] = {
    "text_overlap": ("input", "reference", "answer", "category", "lang", "document_seen"),
    "general_ability": (
        "input",
        "reference",
        "answer",
        "category",
        "lang",
        "choices",
        "correct_choice",
        "predicted_choice",
    ),
}
# Results of one comparison page: six files with two tasks each.
_MAX_CACHED = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplesFile:
    """Where an evaluation's rows are, and the digest that names their content."""

    path: Path
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreTable:
    """The numbers of one task, one entry for each row in file order."""

    item_ids: tuple[str, ...]
    clusters: tuple[str, ...]
    categories: tuple[str, ...]
    is_unseen: NDArray[np.bool_]
    """Rests on a document kept out of training; False where there is no document."""
    scores: Mapping[str, NDArray[np.float64]]
    bleu_statistics: NDArray[np.float64] | None
    """Shape [n, 10]; None for multiple choice."""
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
        DataError: `data.not_found`, the file is gone; `data.format_unsupported`, it is no samples
            file; `data.row_invalid`, an item id occurs twice.
    """
    return _load_scores(file.path, file.digest, task)


@lru_cache(maxsize=_MAX_CACHED)
def _load_scores(path: Path, digest: str, task: Task) -> ScoreTable:
    names = ["item_id", "category", "cluster", "answer", *SCORE_COLUMNS[task]]
    names += _QUESTION_COLUMNS[task]
    if task == "text_overlap":
        names += ["bleu_statistics", "document_seen"]
    table = _read(path, names, [("task", "==", task)])
    item_ids = tuple(table["item_id"].to_pylist())
    if len(set(item_ids)) != len(item_ids):
        raise DataError(
            "data.row_invalid",
            _(
                "The samples of this result have an item id twice, so they cannot be paired; "
                "evaluate again on a data set whose ids are unique."
            ),
        )
    statistics = None
    is_unseen = np.zeros(len(item_ids), dtype=np.bool_)
    if task == "text_overlap":
        flat = table["bleu_statistics"].combine_chunks().flatten()
        statistics = np.asarray(flat, dtype=np.float64).reshape(len(item_ids), NUM_BLEU_STATISTICS)
        is_unseen = np.array([seen is False for seen in table["document_seen"].to_pylist()], bool)
    return ScoreTable(
        item_ids=item_ids,
        clusters=tuple(
            cluster or f"item:{item_id}"
            for cluster, item_id in zip(table["cluster"].to_pylist(), item_ids, strict=True)
        ),
        categories=tuple(category or "" for category in table["category"].to_pylist()),
        is_unseen=is_unseen,
        scores={
            name: np.asarray(table[name].cast(pa.float64()).combine_chunks(), dtype=np.float64)
            for name in SCORE_COLUMNS[task]
        },
        bleu_statistics=statistics,
        questions=_hashes(table, _QUESTION_COLUMNS[task]),
        answers=_hashes(table, ("answer",)),
    )


def load_texts(file: SamplesFile, task: Task, item_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Input, reference, answer and scores of a few items, by item id.

    Raises:
        DataError: as `load_scores`.
    """
    if not item_ids:
        return {}
    names = ["item_id", *_TEXT_COLUMNS[task], *SCORE_COLUMNS[task]]
    filters = [("task", "==", task), ("item_id", "in", list(item_ids))]
    return {row["item_id"]: row for row in _read(file.path, names, filters).to_pylist()}


def _read(path: Path, columns: list[str], filters: list[tuple[str, str, Any]]) -> pa.Table:
    try:
        return pq.read_table(path, columns=columns, filters=filters)
    except FileNotFoundError as exc:
        raise DataError(
            "data.not_found",
            _(
                "The samples %(file)s are gone from the data directory; restore them from the "
                "backup or evaluate again."
            )
            % {"file": _shown(path)},
        ) from exc
    except (pa.ArrowException, OSError) as exc:
        logger.warning("samples %s: %s", path, exc)
        raise DataError(
            "data.format_unsupported",
            _("The file %(file)s holds no samples of this version, or is damaged; evaluate again.")
            % {"file": _shown(path)},
        ) from exc


def _shown(path: Path) -> str:
    """The path below the data directory, whose own place is nobody's concern."""
    return "/".join(("runs", *path.parts[-3:]))


def _hashes(table: pa.Table, names: Sequence[str]) -> NDArray[np.int64]:
    columns = [table[name].to_pylist() for name in names]
    return np.fromiter((hash(repr(row)) for row in zip(*columns, strict=True)), dtype=np.int64)

"""Per-sample results of an evaluation: one Parquet file, readable without torch.

Everything a report says can be recomputed from it, and two evaluations are compared by joining on
`task` and `item_id`. `pipeline.contracts.samples` has the columns and what each score means.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contracts.evaluation_results import NullChange
from pipeline.contracts.samples import COLUMNS, NULL_COLUMNS, ColumnType, NullName, Score, Task
from pipeline.durable import new_file
from pipeline.evaluation.general_ability import ChoiceResult

_ARROW_TYPES: Mapping[ColumnType, pa.DataType] = {
    "string": pa.string(),
    "float64": pa.float64(),
    "int64": pa.int64(),
    "bool": pa.bool_(),
    "string_list": pa.list_(pa.string()),
    "int64_list": pa.list_(pa.int64()),
}
SCHEMA = pa.schema([(name, _ARROW_TYPES[kind]) for name, kind in COLUMNS.items()])
_NULLS = b"flip_nulls"
"""Key of the file's metadata: by null, what was different when the base was asked again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerSample:
    """One domain question, the model's answer and its scores."""

    item_id: str
    category: str
    lang: str
    document_id: str
    document_seen: bool
    """Whether the document the question rests on may have been trained on."""
    prompt: str
    reference: str
    answer: str
    scores: Mapping[str, Score]
    """By column of `contracts.samples`: those of the measures, and the reference's length."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SecondAnswers:
    """What the base said to the multiple-choice questions when it was asked again."""

    name: NullName
    changes: tuple[NullChange, ...]
    """What was different the second time."""
    is_correct: Mapping[str, bool]
    """By item id."""


def write_samples(
    answers: Sequence[AnswerSample],
    choices: Sequence[ChoiceResult],
    path: Path,
    *,
    again: Sequence[SecondAnswers] = (),
) -> None:
    """The file appears whole or not at all."""
    rows = [_answer_row(answer) for answer in answers]
    rows += [_choice_row(choice, again) for choice in choices]
    changes = {one.name: [change.model_dump() for change in one.changes] for one in again}
    metadata = {_NULLS: json.dumps(changes).encode()} if changes else None
    table = pa.Table.from_pylist(rows, schema=SCHEMA.with_metadata(metadata))
    with new_file(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def _answer_row(sample: AnswerSample) -> dict[str, object]:
    item: dict[str, object] = {
        "task": "text_overlap",
        "item_id": sample.item_id,
        "category": sample.category,
        "lang": sample.lang,
        "cluster": sample.document_id or None,
        "document_seen": sample.document_seen,
        "input": sample.prompt,
        "reference": sample.reference,
        "answer": sample.answer,
    }
    return item | dict(sample.scores)


def _choice_row(result: ChoiceResult, again: Sequence[SecondAnswers]) -> dict[str, object]:
    nulls = {NULL_COLUMNS[one.name]: one.is_correct.get(result.item_id) for one in again}
    item: dict[str, object] = {
        "task": "general_ability",
        "item_id": result.item_id,
        "category": result.category,
        "lang": result.lang,
        "cluster": result.cluster,
        "input": result.question,
        "reference": result.choices[result.answer],
        "answer": result.choices[result.predicted],
        "choices": list(result.choices),
        "correct_choice": result.answer,
        "predicted_choice": result.predicted,
    }
    return item | nulls | dict(result.scores)


def read_samples(path: Path, task: Task) -> list[dict[str, object]]:
    """The rows of one task, in file order."""
    table = pq.read_table(path, filters=[("task", "==", task)])
    return table.to_pylist()


def read_null_changes(path: Path) -> dict[NullName, tuple[NullChange, ...]]:
    """By null, what was different when the base was asked again; empty where it was not."""
    stored = json.loads((pq.read_schema(path).metadata or {}).get(_NULLS, b"{}"))
    return {
        name: tuple(NullChange.model_validate(change) for change in stored[name])
        for name in NULL_COLUMNS
        if name in stored
    }

"""Per-sample results of an evaluation: one Parquet file, readable without torch.

Everything a report says can be recomputed from it, and two evaluations are compared by joining on
`task` and `item_id`. Rows that share a `cluster` (the document of a domain question, the subject of
a general one) are resampled together; a row without one stands alone. The platform reads the same
file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.evaluation.general_ability import ChoiceResult
from pipeline.metrics.text_overlap import SampleOverlap

SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("item_id", pa.string()),
        ("category", pa.string()),
        ("lang", pa.string()),
        ("cluster", pa.string()),
        ("document_seen", pa.bool_()),
        ("input", pa.string()),
        ("reference", pa.string()),
        ("answer", pa.string()),
        ("rouge1", pa.float64()),
        ("rouge2", pa.float64()),
        ("rougeL", pa.float64()),
        ("sentence_bleu", pa.float64()),
        ("bleu_statistics", pa.list_(pa.int64())),
        ("num_answer_tokens", pa.int64()),
        ("num_reference_tokens", pa.int64()),
        ("cut_at_cap", pa.bool_()),
        ("repeated_4gram_rate", pa.float64()),
        ("choices", pa.list_(pa.string())),
        ("correct_choice", pa.int64()),
        ("predicted_choice", pa.int64()),
        ("is_correct", pa.bool_()),
        ("probability", pa.float64()),
    ]
)


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
    cut_at_cap: bool
    repeated_4gram_rate: float
    overlap: SampleOverlap


def write_samples(
    answers: Sequence[AnswerSample], choices: Sequence[ChoiceResult], path: Path
) -> None:
    """The file appears whole or not at all."""
    rows = [_answer_row(answer) for answer in answers] + [_choice_row(choice) for choice in choices]
    partial = path.with_suffix(".partial")
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), partial, compression="zstd")
    partial.rename(path)


def _answer_row(sample: AnswerSample) -> dict[str, object]:
    overlap = sample.overlap
    return {
        "task": "text_overlap",
        "item_id": sample.item_id,
        "category": sample.category,
        "lang": sample.lang,
        "cluster": sample.document_id or None,
        "document_seen": sample.document_seen,
        "input": sample.prompt,
        "reference": sample.reference,
        "answer": sample.answer,
        "rouge1": overlap.rouge1,
        "rouge2": overlap.rouge2,
        "rougeL": overlap.rougeL,
        "sentence_bleu": overlap.sentence_bleu,
        "bleu_statistics": list(overlap.bleu_statistics),
        "num_answer_tokens": overlap.num_answer_tokens,
        "num_reference_tokens": overlap.num_reference_tokens,
        "cut_at_cap": sample.cut_at_cap,
        "repeated_4gram_rate": sample.repeated_4gram_rate,
    }


def _choice_row(result: ChoiceResult) -> dict[str, object]:
    return {
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
        "is_correct": result.is_correct,
        "probability": result.probability,
    }


def read_samples(path: Path, task: str) -> list[dict[str, object]]:
    """The rows of one task, in file order."""
    table = pq.read_table(path, filters=[("task", "==", task)])
    return table.to_pylist()

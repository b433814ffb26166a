"""Which rows of a benchmark are questions to score, and which are examples kept apart."""

from collections.abc import Sequence
from typing import TypeVar

from pipeline.data.benchmarks.file_roles import HELD_APART
from pipeline.data.benchmarks.recognition import SPLIT_KEY
from pipeline.data.records import Record

RowT = TypeVar("RowT", bound=Record)


def scored_rows(records: Sequence[RowT]) -> list[RowT]:
    """The rows a result counts, in their order.

    Rows of the splits `dev` and `train` are few-shot examples or training data. Where a benchmark
    has both `test` and `val` rows, the test is what is published; validation rows are scored only
    where the test has no answers (C-Eval, HellaSwag). Rows of no split are scored.
    """
    tested = {
        record.meta.get("benchmark") for record in records if record.meta.get(SPLIT_KEY) == "test"
    }
    return [record for record in records if _is_scored(record, tested)]


def _is_scored(record: Record, tested: set[object]) -> bool:
    split = record.meta.get(SPLIT_KEY)
    if split == "val":
        return record.meta.get("benchmark") not in tested
    return split not in HELD_APART

"""The columns of `samples.parquet` and what each score in them means.

A measure is defined here once: its column, the task whose items have it, its direction, its unit
and how a figure of a whole set follows from the items. Recipes write and aggregate by it, the
platform reads, compares and labels by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Task = Literal["text_overlap", "general_ability"]
TASKS: tuple[Task, ...] = get_args(Task)
ColumnType = Literal["string", "float64", "int64", "bool", "string_list", "int64_list"]
Direction = Literal["higher", "lower", "neutral"]
Unit = Literal["points", "percent", "tokens", "bits_per_byte"]
NullName = Literal["numerical", "prompt"]
Score = float | int | bool | tuple[int, ...]
"""What a row holds in the column of a measure."""
Aggregation = Literal["mean", "corpus_bleu", "none"]
"""`none`: for looking at single items; a set of them has no such figure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """A score of each item, or counts from which a set of items gets one."""

    key: str
    """Names the figure in results, comparisons and addresses of pages."""
    task: Task
    column: str
    type: ColumnType
    direction: Direction
    """Which way is better; neutral figures describe and are never called better or worse."""
    unit: Unit
    """As shown; `percent` is stored as a share."""
    aggregation: Aggregation
    weight: str | None = None
    """Column of what an item counts for in a mean, which follows from its question alone; None
    where all count the same."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What a figure of the measure is made from."""
        return (self.column,) if self.weight is None else (self.column, self.weight)

    @property
    def has_item_score(self) -> bool:
        """A single item can be better or worse, and sorted by it."""
        return self.aggregation != "corpus_bleu"


def _overlap(key: str, aggregation: Aggregation = "mean") -> Measure:
    return Measure(
        key=key,
        task="text_overlap",
        column=key,
        type="float64",
        direction="higher",
        unit="points",
        aggregation=aggregation,
    )


MEASURES: tuple[Measure, ...] = (
    _overlap("rouge1"),
    _overlap("rouge2"),
    _overlap("rougeL"),
    _overlap("sentence_bleu", "none"),
    Measure(
        key="bleu4",
        task="text_overlap",
        column="bleu_statistics",
        type="int64_list",
        direction="higher",
        unit="points",
        aggregation="corpus_bleu",
    ),
    Measure(
        key="reference_bits_per_byte",
        task="text_overlap",
        column="reference_bits_per_byte",
        type="float64",
        direction="lower",
        unit="bits_per_byte",
        aggregation="mean",
        weight="num_reference_bytes",
    ),
    Measure(
        key="num_answer_tokens",
        task="text_overlap",
        column="num_answer_tokens",
        type="int64",
        direction="neutral",
        unit="tokens",
        aggregation="mean",
    ),
    Measure(
        key="cut_at_cap",
        task="text_overlap",
        column="cut_at_cap",
        type="bool",
        direction="lower",
        unit="percent",
        aggregation="mean",
    ),
    Measure(
        key="repeated_4gram_rate",
        task="text_overlap",
        column="repeated_4gram_rate",
        type="float64",
        direction="lower",
        unit="percent",
        aggregation="mean",
    ),
    Measure(
        key="is_correct",
        task="general_ability",
        column="is_correct",
        type="bool",
        direction="higher",
        unit="percent",
        aggregation="mean",
    ),
    Measure(
        key="probability",
        task="general_ability",
        column="probability",
        type="float64",
        direction="higher",
        unit="percent",
        aggregation="mean",
    ),
)

ITEM_COLUMNS: Mapping[str, ColumnType] = {
    "task": "string",
    "item_id": "string",
    "category": "string",
    "lang": "string",
    "cluster": "string",
    "document_seen": "bool",
    "input": "string",
    "reference": "string",
    "answer": "string",
    "num_reference_tokens": "int64",
    "num_reference_bytes": "int64",
    "choices": "string_list",
    "correct_choice": "int64",
    "predicted_choice": "int64",
    "is_correct_numerical_null": "bool",
    "is_correct_prompt_null": "bool",
}
"""What a row holds besides its scores. Rows of one `cluster` (a document, a subject) are resampled
together; a row without one stands alone."""
NULL_COLUMNS: Mapping[NullName, str] = {
    "numerical": "is_correct_numerical_null",
    "prompt": "is_correct_prompt_null",
}
"""Whether the base was right when it was asked again; empty in rows of other models."""

COLUMNS: Mapping[str, ColumnType] = {
    **ITEM_COLUMNS,
    **{measure.column: measure.type for measure in MEASURES},
}
"""The schema of `samples.parquet`. Files written before a measure existed lack its column."""


def measures_of(task: Task, *, aggregated: bool = False) -> tuple[Measure, ...]:
    """The measures of a task; with `aggregated` only those a whole set has a figure of."""
    return tuple(
        measure
        for measure in MEASURES
        if measure.task == task and not (aggregated and measure.aggregation == "none")
    )


def number(score: Score) -> float:
    """The score of an item as a number.

    Raises:
        TypeError: these are counts of a corpus figure, which no single item has.
    """
    if isinstance(score, tuple):
        raise TypeError(f"counts {score} are no score of a single item")
    return float(score)

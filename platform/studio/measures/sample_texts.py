"""What a few rows of a result say: read for the items of one page only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.contracts.samples import ITEM_COLUMNS, Task, number
from studio.measures.labels import ShownMeasure
from studio.measures.sample_files import SamplesFile, measure_columns, read_columns


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One item: its question, the answer, and the answer's scores."""

    item_id: str
    category: str
    lang: str
    input: str
    reference: str
    answer: str
    choices: Sequence[str]
    correct_choice: int | None
    predicted_choice: int | None
    scores: Mapping[str, float]
    """By column of the task's measures; without those that the file lacks."""

    def score(self, measure: ShownMeasure) -> float | None:
        """The item's score in the measure; None where there is none."""
        return self.scores.get(measure.column)

    @property
    def is_cut(self) -> bool:
        """The answer reached the token limit before it ended."""
        return bool(self.scores.get("cut_at_cap"))


def load_samples(file: SamplesFile, task: Task, item_ids: Sequence[str]) -> dict[str, Sample]:
    """These items, by item id.

    Raises:
        DataError: of `read_columns`.
    """
    if not item_ids:
        return {}
    scores = measure_columns(task)
    table = read_columns(file.path, task, [*ITEM_COLUMNS, *scores], item_ids=item_ids)
    return {row["item_id"]: _sample(row, scores) for row in table.to_pylist()}


def _sample(row: Mapping[str, object], scores: Sequence[str]) -> Sample:
    def text(name: str) -> str:
        value = row.get(name)
        return "" if value is None else str(value)

    def whole(name: str) -> int | None:
        value = row.get(name)
        return value if isinstance(value, int) else None

    choices = row.get("choices")
    return Sample(
        item_id=text("item_id"),
        category=text("category"),
        lang=text("lang"),
        input=text("input"),
        reference=text("reference"),
        answer=text("answer"),
        choices=[str(choice) for choice in choices] if isinstance(choices, list) else [],
        correct_choice=whole("correct_choice"),
        predicted_choice=whole("predicted_choice"),
        scores={
            name: number(value)
            for name in scores
            if isinstance(value := row.get(name), float | int | bool)
        },
    )

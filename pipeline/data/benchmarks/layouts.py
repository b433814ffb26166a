"""The layouts in which known benchmarks are published, told apart by exactly the fields they have.

A layout is recognised or it is not: a row with one field more or less than its authors wrote is
none of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.contracts.references import DatasetKind
from pipeline.data.benchmarks.conversions import (
    GSM8K_MARK,
    Row,
    agieval,
    arc_ai2,
    arc_hub,
    cmmlu,
    gsm8k,
    hellaswag,
    lawbench,
    piqa,
    same,
)
from pipeline.data.benchmarks.file_roles import FileRole
from pipeline.data.benchmarks.subjects import CEVAL, CMMLU, LAWBENCH, MMLU
from pipeline.data.row_fields import InvalidRowError


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """One way a benchmark's rows are written."""

    key: str
    benchmark: str
    """As its authors call it."""
    lang: str = ""
    """Of all its rows; empty where they have several and each shows its own. A question of formulas
    alone does not."""
    kinds: tuple[DatasetKind, ...]
    """What its rows can be read as."""
    required: frozenset[str]
    optional: frozenset[str] = frozenset()
    convert: Callable[[Row, DatasetKind], dict[str, Any]]
    """The native fields of a row of the layout; raises `InvalidRowError`."""
    categories: Mapping[str, str] = field(default_factory=dict)
    """Category of each subject."""
    is_named_by_subject: bool = False
    """A file is of the layout only if its name has one of the subjects, because people write rows
    with the same fields themselves."""
    needs_split: bool = False
    """Its name must have a split, too."""
    looks_right: Callable[[Row], bool] = lambda row: True
    """What the values must show where the names alone would not tell."""

    def is_named_by(self, role: FileRole) -> bool:
        """The name of the file is one that the benchmark's files have."""
        return (role.subject in self.categories or not self.is_named_by_subject) and (
            bool(role.split) or not self.needs_split
        )

    def fits(self, row: Row) -> bool:
        """The row has the layout's fields, and no others."""
        return self.required <= row.keys() <= self.required | self.optional

    def checked(self, row: Row, kind: DatasetKind) -> dict[str, Any]:
        """The native fields of a row.

        Raises:
            InvalidRowError: the row has other fields than the layout, or values it cannot have.
        """
        if not self.fits(row):
            names = ", ".join(map(str, row))[:200]
            expected = ", ".join(sorted(self.required))
            raise InvalidRowError("row.layout", value=names, fields=names, expected=expected)
        return self.convert(row, kind)


_CHOICE: tuple[DatasetKind, ...] = ("multiple_choice",)
_ANSWERS: tuple[DatasetKind, ...] = ("domain_test", "conversations")

OBJECT_LAYOUTS: tuple[Layout, ...] = (
    Layout(
        key="ceval_hub",
        benchmark="C-Eval",
        lang="zh",
        kinds=_CHOICE,
        required=frozenset({"id", "question", "A", "B", "C", "D", "answer"}),
        optional=frozenset({"explanation"}),
        convert=same,
        categories=CEVAL,
        is_named_by_subject=True,
        needs_split=True,
    ),
    Layout(
        key="cmmlu_hub",
        benchmark="CMMLU",
        lang="zh",
        kinds=_CHOICE,
        required=frozenset({"Question", "A", "B", "C", "D", "Answer"}),
        convert=cmmlu,
        categories=CMMLU,
        is_named_by_subject=True,
    ),
    Layout(
        key="mmlu_hub",
        benchmark="MMLU",
        lang="en",
        kinds=_CHOICE,
        required=frozenset({"question", "subject", "choices", "answer"}),
        convert=same,
        categories=MMLU,
        looks_right=lambda row: str(row["subject"]) in MMLU and isinstance(row["choices"], list),
    ),
    Layout(
        key="arc_ai2",
        benchmark="ARC",
        lang="en",
        kinds=_CHOICE,
        required=frozenset({"id", "question"}),
        optional=frozenset({"answerKey"}),
        convert=arc_ai2,
        looks_right=lambda row: isinstance(row["question"], dict) and "stem" in row["question"],
    ),
    Layout(
        key="arc_hub",
        benchmark="ARC",
        lang="en",
        kinds=_CHOICE,
        required=frozenset({"id", "question", "choices", "answerKey"}),
        convert=arc_hub,
        looks_right=lambda row: isinstance(row["choices"], dict),
    ),
    Layout(
        key="hellaswag",
        benchmark="HellaSwag",
        lang="en",
        kinds=_CHOICE,
        required=frozenset({"ind", "activity_label", "ctx_a", "ctx_b", "ctx", "endings"}),
        optional=frozenset({"label", "split", "split_type", "source_id"}),
        convert=hellaswag,
    ),
    Layout(
        key="piqa",
        benchmark="PIQA",
        lang="en",
        kinds=_CHOICE,
        required=frozenset({"goal", "sol1", "sol2"}),
        optional=frozenset({"label"}),
        convert=piqa,
    ),
    Layout(
        key="agieval",
        benchmark="AGIEval",
        kinds=("multiple_choice", "domain_test"),
        required=frozenset({"passage", "question", "options", "label"}),
        optional=frozenset({"answer", "other", "explanation"}),
        convert=agieval,
    ),
    Layout(
        key="gsm8k",
        benchmark="GSM8K",
        lang="en",
        kinds=_ANSWERS,
        required=frozenset({"question", "answer"}),
        convert=gsm8k,
        looks_right=lambda row: isinstance(row["answer"], str) and GSM8K_MARK in row["answer"],
    ),
    Layout(
        key="lawbench",
        benchmark="LawBench",
        lang="zh",
        kinds=_ANSWERS,
        required=frozenset({"instruction", "question", "answer"}),
        convert=lawbench,
        categories={task: facts.level for task, facts in LAWBENCH.items()},
        is_named_by_subject=True,
    ),
)
"""Rows that are objects: JSON Lines, JSON arrays, and the Parquet of a hub."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableLayout:
    """One way a benchmark's CSV files are written."""

    layout: Layout
    fields: tuple[str, ...]
    """What each column is read as."""
    has_header: bool = True


def _table(
    key: str,
    benchmark: str,
    lang: str,
    categories: Mapping[str, str],
    *,
    needs_split: bool = False,
) -> Layout:
    return Layout(
        key=key,
        benchmark=benchmark,
        lang=lang,
        kinds=_CHOICE,
        required=frozenset({"question", "A", "B", "C", "D"}),
        optional=frozenset({"id", "answer", "meta"}),
        convert=same,
        categories=categories,
        is_named_by_subject=True,
        needs_split=needs_split,
    )


_CEVAL_TABLE = _table("ceval", "C-Eval", "zh", CEVAL, needs_split=True)
_CMMLU_TABLE = _table("cmmlu", "CMMLU", "zh", CMMLU)
_MMLU_TABLE = _table("mmlu", "MMLU", "en", MMLU, needs_split=True)
_MMLU_BARE = _table("mmlu_bare", "MMLU", "en", MMLU)
_LETTER_FIELDS = ("question", "A", "B", "C", "D", "answer")
_CEVAL_FIELDS = ("id", "question", "A", "B", "C", "D")
_TABLES: Mapping[tuple[str, ...], TableLayout] = {
    _CEVAL_FIELDS: TableLayout(layout=_CEVAL_TABLE, fields=_CEVAL_FIELDS),
    (*_CEVAL_FIELDS, "answer"): TableLayout(layout=_CEVAL_TABLE, fields=(*_CEVAL_FIELDS, "answer")),
    (*_CEVAL_FIELDS, "answer", "explanation"): TableLayout(
        layout=_CEVAL_TABLE, fields=(*_CEVAL_FIELDS, "answer", "meta.explanation")
    ),
    ("", "Question", "A", "B", "C", "D", "Answer"): TableLayout(
        layout=_CMMLU_TABLE, fields=("id", *_LETTER_FIELDS)
    ),
    _LETTER_FIELDS: TableLayout(layout=_MMLU_TABLE, fields=_LETTER_FIELDS),
}
"""By the header, exactly as it is written."""


def table_layout(first_cells: Sequence[str], role: FileRole) -> TableLayout | None:
    """The layout of a CSV file with this first line and role.

    MMLU as its authors publish it has no header: six columns, of which the last is a letter.
    """
    header = tuple(cell.strip() for cell in first_cells)
    found = _TABLES.get(header)
    if found is None and len(header) == len(_LETTER_FIELDS) and header[-1] in set("ABCD"):
        found = TableLayout(layout=_MMLU_BARE, fields=_LETTER_FIELDS, has_header=False)
    return found if found is not None and found.layout.is_named_by(role) else None


def object_layout(row: Row, role: FileRole) -> Layout | None:
    """The layout of a file with this row and role."""
    fitting = (layout for layout in OBJECT_LAYOUTS if layout.fits(row))
    return next(
        (layout for layout in fitting if layout.looks_right(row) and layout.is_named_by(role)),
        None,
    )

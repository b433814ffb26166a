"""The files of an import: `rows.parquet` and `errors.parquet`, written as rows arrive.

Row groups are small, so that a page of rows costs one of them, and memory is bounded by one group
whatever the size of the file.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contracts.dataset_manifest import LengthSummary, ValueCounts
from pipeline.contracts.references import DatasetKind
from pipeline.contracts.row_errors import RowError
from pipeline.data.original_rows import OriginalRow
from pipeline.data.records import (
    Conversation,
    Document,
    DomainItem,
    MultipleChoiceItem,
    Record,
)
from pipeline.data.row_schemas import ROW_SCHEMAS
from pipeline.data.version_figures import RowFigures

GROUP_ROWS = 2_000
GROUP_CHARS = 8 << 20
MAX_ORIGINAL_CHARS = 1_000_000
"""A longer rejected row is cut: it is shown and repaired in the file itself."""
ERROR_SCHEMA = pa.schema(
    [
        ("line", pa.int64()),
        ("column", pa.string()),
        ("code", pa.string()),
        ("params", pa.string()),
        ("value_excerpt", pa.string()),
        ("cells", pa.list_(pa.string())),
        ("row", pa.string()),
        ("file", pa.string()),
    ]
)
"""`cells` has the file's columns, `row` the text of a row that does not fit them, `file` the member
of an archive. Files written before archives were read lack the last."""

_META_ENCODER = json.JSONEncoder(ensure_ascii=False)


class GroupedWriter:
    """Appends rows to a Parquet file in groups bounded by rows and by characters."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", version="2.6")
        self._waiting: list[tuple[Any, ...]] = []
        """Rows of the next group, each in the order of the schema."""
        self._num_chars = 0
        self.num_rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._flush()
        self._writer.close()

    def _append(self, row: tuple[Any, ...], num_chars: int) -> None:
        self._waiting.append(row)
        self.num_rows += 1
        self._num_chars += num_chars
        if len(self._waiting) == GROUP_ROWS or self._num_chars >= GROUP_CHARS:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            columns = dict(zip(self._schema.names, zip(*self._waiting, strict=True), strict=True))
            self._waiting.clear()
            self._num_chars = 0
            self._write(columns)

    def _write(self, columns: dict[str, tuple[Any, ...]]) -> None:
        self._writer.write_table(pa.table(columns, schema=self._schema))


def stored_row(record: Record, kind: DatasetKind) -> dict[str, Any]:
    """The record as a row of `rows.parquet`."""
    cells, _lengths = _OWN_CELLS[kind](record)
    return dict(zip(ROW_SCHEMAS[kind].names, _row(record, cells), strict=True))


def _row(record: Record, cells: tuple[Any, ...]) -> tuple[Any, ...]:
    meta = _META_ENCODER.encode(record.meta) if record.meta else "{}"
    return (record.id, record.lang, *cells, record.source, record.license, meta)


class RowWriter(GroupedWriter):
    """`rows.parquet` of a version, with the figures of its manifest."""

    def __init__(self, path: Path, kind: DatasetKind) -> None:
        super().__init__(path, ROW_SCHEMAS[kind])
        self._cells = _OWN_CELLS[kind]
        self._figures = RowFigures(TEXT_FIELDS[kind])

    def append(self, record: Record) -> None:
        """The record will be the file's next row."""
        cells, lengths = self._cells(record)
        self._figures.add_row(lengths, record.meta)
        row = _row(record, cells)
        self._append(row, sum(lengths) + len(row[-1]))

    def _write(self, columns: dict[str, tuple[Any, ...]]) -> None:
        self._figures.add_columns(columns)
        super()._write(columns)

    def counts(self) -> dict[str, ValueCounts]:
        """Rows by value, for the fields that have few values; most frequent first."""
        return self._figures.counts()

    def lengths(self) -> dict[str, LengthSummary]:
        """Characters by text field."""
        return self._figures.lengths()


class ErrorWriter(GroupedWriter):
    """`errors.parquet`: each rejected row with its place, reason and original content."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, ERROR_SCHEMA)

    def append(self, error: RowError, original: OriginalRow) -> None:
        """The error will be the file's next row."""
        cells, text = original.cells, original.text
        if cells is not None and sum(map(len, cells)) > MAX_ORIGINAL_CHARS:
            text = "\t".join(cells)
            cells = None
        text = "" if cells is not None else storable(text[:MAX_ORIGINAL_CHARS])
        row = (
            error.line,
            None if error.column is None else storable(error.column),
            error.code,
            json.dumps(storable_params(error), ensure_ascii=False),
            storable(error.value_excerpt),
            None if cells is None else [storable(cell) for cell in cells],
            text,
            None if error.file is None else storable(error.file),
        )
        self._append(row, sum(map(len, cells or ())) + len(text) + 200)


def storable(text: str) -> str:
    """`text` with half characters escaped: UTF-8, and so Parquet, has no bytes for them."""
    return text.encode("utf-8", "backslashreplace").decode()


def storable_params(error: RowError) -> dict[str, str | int]:
    """What the error's templates are filled with, as it can be stored."""
    return {
        name: storable(value) if isinstance(value, str) else value
        for name, value in error.params.items()
    }


TEXT_FIELDS: Mapping[DatasetKind, tuple[str, ...]] = {
    "corpus": ("text",),
    "conversations": ("messages",),
    "domain_test": ("instruction", "input", "output"),
    "multiple_choice": ("question", "choices"),
}
"""Fields whose lengths the manifest has."""

_Cells = tuple[tuple[Any, ...], tuple[int, ...]]
"""A kind's own columns of one row in the order of `ROW_SCHEMAS`, and characters by text field."""


def _document(record: Document) -> _Cells:
    return (record.title, record.text), (len(record.text),)


def _conversation(record: Conversation) -> _Cells:
    turns = [
        {"role": turn.role, "content": turn.content, "weight": None if turn.weight else 0}
        for turn in record.messages
    ]
    return (turns,), (sum(len(turn.content) for turn in record.messages),)


def _domain_item(record: DomainItem) -> _Cells:
    texts = (record.instruction, record.input, record.output)
    lengths = (len(record.instruction), len(record.input), len(record.output))
    if not record.system and not record.history:
        return (*texts, None, None), (*lengths, 0)
    # The context is not told among the lengths, but counts for the size of a group.
    num_context = len(record.system) + sum(len(asked) + len(said) for asked, said in record.history)
    return (*texts, record.system or None, record.history or None), (*lengths, num_context)


def _multiple_choice_item(record: MultipleChoiceItem) -> _Cells:
    others = record.other_answers or None
    cells = (record.question, list(record.choices), record.answer, others)
    return cells, (len(record.question), sum(map(len, record.choices)))


_OWN_CELLS: Mapping[DatasetKind, Callable[[Any], _Cells]] = {
    "corpus": _document,
    "conversations": _conversation,
    "domain_test": _domain_item,
    "multiple_choice": _multiple_choice_item,
}

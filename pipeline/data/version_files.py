"""The files of an import: `rows.parquet` and `errors.parquet`, written as rows arrive.

Row groups are small, so that a page of rows costs one of them, and memory is bounded by one group
whatever the size of the file.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contracts.dataset_manifest import LengthSummary, ValueCounts
from pipeline.contracts.references import DatasetKind
from pipeline.contracts.row_errors import RowError
from pipeline.data.original_rows import OriginalRow
from pipeline.data.readers_parquet import ROW_SCHEMAS
from pipeline.data.records import Conversation, Document, DomainItem, Record

GROUP_ROWS = 2_000
GROUP_CHARS = 8 << 20
MAX_ORIGINAL_CHARS = 100_000
"""A longer rejected row is cut: it is shown and repaired in the file itself."""
MAX_COUNTED_VALUES = 100
MAX_COUNTED_KEYS = 20
MAX_COUNTED_CHARS = 60
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


class _GroupedWriter:
    """Appends rows to a Parquet file in groups bounded by rows and by characters."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", version="2.6")
        self._columns: dict[str, list[Any]] = {name: [] for name in schema.names}
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

    def _append(self, row: Mapping[str, Any], num_chars: int) -> None:
        for name, values in self._columns.items():
            values.append(row[name])
        self.num_rows += 1
        self._num_chars += num_chars
        if self.num_rows % GROUP_ROWS == 0 or self._num_chars >= GROUP_CHARS:
            self._flush()

    def _flush(self) -> None:
        first = next(iter(self._columns.values()))
        if first:
            self._writer.write_table(pa.table(self._columns, schema=self._schema))
        for values in self._columns.values():
            values.clear()
        self._num_chars = 0


class RowWriter(_GroupedWriter):
    """`rows.parquet` of a version, with the figures of its manifest."""

    def __init__(self, path: Path, kind: DatasetKind) -> None:
        super().__init__(path, ROW_SCHEMAS[kind])
        self._tallies: dict[str, Counter[str]] = {}
        self._num_other: Counter[str] = Counter()
        self._lengths: dict[str, tuple[int, int, int]] = {}
        """Field -> fewest, most and all characters."""

    def append(self, record: Record) -> None:
        """The record will be the file's next row."""
        row = _stored(record)
        num_chars = 0
        for field, length in _text_lengths(record):
            num_chars += length
            fewest, most, total = self._lengths.get(field, (length, length, 0))
            self._lengths[field] = (min(fewest, length), max(most, length), total + length)
        self._count("lang", record.lang)
        self._count("source", record.source)
        self._count("license", record.license)
        for key, value in record.meta.items():
            if isinstance(value, str | int) and len(str(value)) <= MAX_COUNTED_CHARS:
                self._count(f"meta.{key}", str(value))
        self._append(row, num_chars + len(row["meta"]))

    def counts(self) -> dict[str, ValueCounts]:
        """Rows by value, for the fields that have few values; most frequent first."""
        return {
            field: ValueCounts(values=dict(tally.most_common()), num_other=self._num_other[field])
            for field, tally in self._tallies.items()
            if not field.startswith("meta.") or not self._num_other[field]
        }

    def lengths(self) -> dict[str, LengthSummary]:
        """Characters by text field."""
        return {
            field: LengthSummary(min=fewest, mean=round(total / self.num_rows, 1), max=most)
            for field, (fewest, most, total) in self._lengths.items()
        }

    def _count(self, field: str, value: str) -> None:
        tally = self._tallies.get(field)
        if tally is None:
            if len(self._tallies) >= MAX_COUNTED_KEYS:
                return
            tally = self._tallies[field] = Counter()
        if value in tally or len(tally) < MAX_COUNTED_VALUES:
            tally[value] += 1
        else:
            self._num_other[field] += 1


class ErrorWriter(_GroupedWriter):
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
        row = {
            "line": error.line,
            "column": None if error.column is None else storable(error.column),
            "code": error.code,
            "params": json.dumps(storable_params(error), ensure_ascii=False),
            "value_excerpt": storable(error.value_excerpt),
            "cells": None if cells is None else [storable(cell) for cell in cells],
            "row": text,
            "file": None if error.file is None else storable(error.file),
        }
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


def _stored(record: Record) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": record.id,
        "lang": record.lang,
        "source": record.source,
        "license": record.license,
        "meta": _META_ENCODER.encode(record.meta),
    }
    if isinstance(record, Document):
        row |= {"title": record.title, "text": record.text}
    elif isinstance(record, Conversation):
        row["messages"] = [{"role": turn.role, "content": turn.content} for turn in record.messages]
    elif isinstance(record, DomainItem):
        row |= {
            "instruction": record.instruction,
            "input": record.input,
            "output": record.output,
        }
    else:
        row |= {
            "question": record.question,
            "choices": list(record.choices),
            "answer": record.answer,
        }
    return row


def _text_lengths(record: Record) -> Iterator[tuple[str, int]]:
    if isinstance(record, Document):
        yield "text", len(record.text)
    elif isinstance(record, Conversation):
        yield "messages", sum(len(turn.content) for turn in record.messages)
    elif isinstance(record, DomainItem):
        yield "instruction", len(record.instruction)
        yield "input", len(record.input)
        yield "output", len(record.output)
    else:
        yield "question", len(record.question)
        yield "choices", sum(map(len, record.choices))

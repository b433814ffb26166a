"""Whether a data file is one of a known benchmark, and what that says of its rows.

Decided once for a file, from its name and its first rows; every row is then held to it. A mapping
of columns that a person gives means that they know better, and nothing is recognised.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.contracts.references import DatasetKind
from pipeline.contracts.row_error_phrases import KIND_NAMES
from pipeline.contracts.row_errors import RowError
from pipeline.data.benchmarks.file_roles import FileRole, file_role
from pipeline.data.benchmarks.layouts import Layout, TableLayout, object_layout, table_layout
from pipeline.data.benchmarks.subjects import LAWBENCH
from pipeline.data.encodings import Encoding
from pipeline.data.formats import FileFormat
from pipeline.data.json_streams import read_json_array
from pipeline.data.readers_csv import table_records
from pipeline.data.readers_json import read_json_lines
from pipeline.data.readers_parquet import first_foreign_rows
from pipeline.data.reading import Reading
from pipeline.data.records import Record
from pipeline.data.row_fields import InvalidRowError

NUM_ROWS_LOOKED_AT = 10
"""A broken first row must not decide about the others."""
SPLIT_KEY = "file_split"
"""Key of `meta` that says which split of a benchmark a row is of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recognised:
    """What is known of a file's rows besides their fields."""

    role: FileRole
    layout: Layout | None = None
    table: TableLayout | None = None
    is_one_of_several: bool = False
    """The file came in a set, so that its name tells the subject whatever its layout is."""

    @property
    def benchmark(self) -> str:
        """Name of the benchmark; empty where none was recognised."""
        return "" if self.layout is None else self.layout.benchmark

    def wrong_kind(self, kind: DatasetKind) -> RowError | None:
        """The error of reading the file's rows as `kind`, if they are of another."""
        if self.layout is None or kind in self.layout.kinds:
            return None
        params = {"benchmark": self.benchmark, "expected": KIND_NAMES[self.layout.kinds[0]]}
        return RowError(code="file.benchmark_kind", params=params)

    def native_fields(self, row: dict[str, Any], kind: DatasetKind) -> dict[str, Any]:
        """The fields of a record that a raw row has.

        Raises:
            InvalidRowError: the row is not of the file's layout.
        """
        if self.layout is None:
            return row
        if self.table is None:
            row = self.layout.checked(row, kind)
        # Columns of a table were given their meaning when they were read.
        return {"lang": self.layout.lang, **row} if self.layout.lang else row

    def placed(self, record: Record) -> Record:
        """The record with its place in the benchmark: an id of its own, subject, category, split.

        What the row says of itself goes before what the name of the file says.
        """
        if self.layout is None and not self.is_one_of_several:
            return record
        subject = str(record.meta.get("subject", self.role.subject))
        facts: dict[str, Any] = {
            "benchmark": self.benchmark,
            "subject": subject,
            "topic_group": self.category_of(subject),
        }
        if self.benchmark == "LawBench":
            facts["metric"] = LAWBENCH[subject].metric
        known = {name: value for name, value in facts.items() if value}
        split = {SPLIT_KEY: self.role.split} if self.role.split else {}
        meta = {**known, **record.meta, **split}
        return replace(record, id=self.role.id_prefix + record.id, meta=meta)

    def category_of(self, subject: str) -> str:
        """Category of a subject; empty where the benchmark has none."""
        return "" if self.layout is None else self.layout.categories.get(subject, "")

    def told(self, error: InvalidRowError) -> InvalidRowError:
        """The error as a row of this benchmark has it: some splits come without answers."""
        is_missing = error.code in {"row.required_empty", "row.field_missing"}
        if self.layout is None or not is_missing or error.column not in {"answer", "output"}:
            return error
        return InvalidRowError("row.answer_withheld", "answer", benchmark=self.benchmark)


def recognise(
    path: Path,
    *,
    name: str,
    file_format: FileFormat,
    encoding: Encoding,
    reading: Reading,
    is_one_of_several: bool = False,
) -> Recognised:
    """What the file at `path`, which a person calls `name`, is of a benchmark."""
    role = file_role(name)
    found = Recognised(role=role, is_one_of_several=is_one_of_several)
    if reading.is_mapped:
        return found
    if file_format == "csv":
        table = _table(path, encoding, reading, role)
        return found if table is None else replace(found, layout=table.layout, table=table)
    rows = itertools.islice(_objects(path, file_format, encoding), NUM_ROWS_LOOKED_AT)
    layouts = (object_layout(row, role) for row in rows)
    return replace(found, layout=next((layout for layout in layouts if layout is not None), None))


def _table(path: Path, encoding: Encoding, reading: Reading, role: FileRole) -> TableLayout | None:
    for _line, cells, _text in table_records(path, encoding, reading):
        return None if isinstance(cells, RowError) else table_layout(cells, role)
    return None


def _objects(
    path: Path, file_format: FileFormat, encoding: Encoding
) -> Iterator[Mapping[str, Any]]:
    items: Iterable[tuple[int, dict[str, Any]] | RowError] = ()
    if file_format == "json_lines":
        items = read_json_lines(path, encoding)
    elif file_format == "json_array":
        items = read_json_array(path, encoding)
    elif file_format == "parquet":
        items = first_foreign_rows(path, NUM_ROWS_LOOKED_AT)
    for item in items:
        if not isinstance(item, RowError):
            yield item[1]

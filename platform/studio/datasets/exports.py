"""A version as a file: JSON Lines, CSV, XLSX or Parquet. Each can be uploaded again, unchanged."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pyarrow.parquet as pq
from django.utils.translation import gettext as _

from pipeline.contracts.returned_tables import csv_cell
from studio.datasets.parquet_pages import iter_rows
from studio.datasets.version_tables import json_row, longest_text_bytes, table_columns, table_row
from studio.datasets.workbook_stream import MAX_CELL_CHARS, MAX_ROWS, num_units, stream_workbook

# A byte order mark tells spreadsheet programs that the file is UTF-8.
BOM = "\ufeff"
LINE_COLUMN = "__line"
"""First in a CSV file: the row's number, and the sign that apostrophes are to be taken off."""
_READ_BYTES = 1 << 20


def jsonl_file(path: Path) -> Iterator[bytes]:
    """The rows at `path` as JSON Lines."""
    for row in iter_rows(path):
        yield (json.dumps(json_row(row), ensure_ascii=False) + "\n").encode()


def csv_file(path: Path) -> Iterator[bytes]:
    """The rows at `path` as CSV in UTF-8."""
    columns = table_columns(path)
    yield (BOM + csv_line([LINE_COLUMN, *columns])).encode()
    for number, row in enumerate(iter_rows(path), start=1):
        yield csv_line([str(number), *map(csv_cell, table_row(row, columns))]).encode()


def xlsx_file(path: Path) -> Iterator[bytes]:
    """The rows at `path` as a workbook of one sheet."""
    columns = table_columns(path)
    rows = (table_row(row, columns) for row in iter_rows(path))
    return stream_workbook(_with_header(columns, rows))


def parquet_file(path: Path) -> Iterator[bytes]:
    """The stored file itself."""
    with path.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            yield chunk


EXPORTS: Mapping[str, tuple[str, Callable[[Path], Iterator[bytes]]]] = MappingProxyType(
    {
        "jsonl": ("application/jsonl; charset=utf-8", jsonl_file),
        "csv": ("text/csv; charset=utf-8", csv_file),
        "xlsx": (
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            xlsx_file,
        ),
        "parquet": ("application/vnd.apache.parquet", parquet_file),
    }
)
"""Suffix -> media type and what writes the file."""


def export_refusal(path: Path, suffix: str) -> str:
    """Why the version at `path` cannot be such a file, and which can be had; "" when it can."""
    if suffix != "xlsx":
        return ""
    columns = table_columns(path)
    with pq.ParquetFile(path) as file:
        if file.metadata.num_rows >= MAX_ROWS:
            return _(
                "A worksheet holds %(limit)s rows, this version has more: download it as CSV, "
                "JSON Lines or Parquet."
            ) % {"limit": f"{MAX_ROWS - 1:,}"}
        for group in range(file.metadata.num_row_groups):
            table = file.read_row_group(group)
            are_texts = not {"messages", "choices"} & set(table.column_names)
            if are_texts and longest_text_bytes(table) <= MAX_CELL_CHARS:
                continue
            for row in table.to_pylist():
                for column, cell in zip(columns, table_row(row, columns), strict=True):
                    if len(cell) * 2 > MAX_CELL_CHARS and num_units(cell) > MAX_CELL_CHARS:
                        return _(
                            "%(column)s of the row %(id)s has %(count)s characters, and a cell of "
                            "a workbook holds %(limit)s: download the version as CSV, JSON Lines "
                            "or Parquet."
                        ) % {
                            "column": column,
                            "id": row["id"],
                            "count": f"{num_units(cell):,}",
                            "limit": f"{MAX_CELL_CHARS:,}",
                        }
    return ""


def csv_line(cells: list[str], delimiter: str = ",") -> str:
    """One record of a CSV file (RFC 4180)."""
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter).writerow(cells)
    return line.getvalue()


def _with_header(columns: tuple[str, ...], rows: Iterator[list[str]]) -> Iterator[list[str]]:
    yield list(columns)
    yield from rows

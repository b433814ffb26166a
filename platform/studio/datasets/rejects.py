"""Rejected rows as a file of the kind they came in: repaired, it can be uploaded as it is.

A table has its own columns and then the report's. JSON Lines have each row's own text, unchanged,
under a line that holds nothing but the report; the reader passes over such lines. Rows that do not
fit the table's columns, and those of an archive, stand in the column `__row`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.contracts.returned_tables import REPORT_COLUMNS, csv_cell, workbook_cell
from studio.datasets.exports import BOM, csv_line
from studio.datasets.parquet_pages import iter_rows
from studio.datasets.reports import ImportReport
from studio.datasets.row_error_texts import ShownError, shown_error
from studio.datasets.workbook_stream import MAX_CELL_CHARS, num_units, stream_workbook

_REPORT = ("__line", "__column", "__code", "__message", "__hint", "__row")
_FILE = "__file"
"""Before them where the rows came in several files."""
_JSON_FORMATS = frozenset({"json_lines", "json_array", "parquet"})


@dataclass(frozen=True, kw_only=True, slots=True)
class RejectsFile:
    """What is sent."""

    suffix: str
    content_type: str
    content: Iterator[bytes]


def rejects_file(report: ImportReport, path: Path) -> RejectsFile:
    """The rejected rows of an import, `errors.parquet` at `path`, in the reader's language."""
    if report.source.format == "xlsx" and _fits_workbook(report, path):
        return RejectsFile(
            suffix="xlsx",
            content_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            content=_workbook(report, path),
        )
    if report.source.format in _JSON_FORMATS:
        return RejectsFile(
            suffix="jsonl",
            content_type="application/jsonl; charset=utf-8",
            content=_json_lines(report, path),
        )
    encoding = "gb18030" if report.source.encoding == "gb18030" else "utf-8"
    return RejectsFile(
        suffix="csv",
        content_type=f"text/csv; charset={encoding}",
        content=_csv(report, path, encoding),
    )


def _csv(report: ImportReport, path: Path, encoding: str) -> Iterator[bytes]:
    delimiter = report.source.delimiter or ","
    header = csv_line(_header(report), delimiter)
    yield ((BOM if encoding == "utf-8" else "") + header).encode(encoding)
    for cells in _rows(report, path):
        yield csv_line([csv_cell(cell) for cell in cells], delimiter).encode(encoding)


def _workbook(report: ImportReport, path: Path) -> Iterator[bytes]:
    def rows() -> Iterator[list[str]]:
        yield _header(report)
        for cells in _rows(report, path):
            yield [workbook_cell(cell) for cell in cells]

    return stream_workbook(rows())


def _fits_workbook(report: ImportReport, path: Path) -> bool:
    return all(num_units(cell) < MAX_CELL_CHARS for cells in _rows(report, path) for cell in cells)


def _json_lines(report: ImportReport, path: Path) -> Iterator[bytes]:
    for row in iter_rows(path):
        error = shown_error(row, report.headers)
        told = dict(zip(_REPORT, _told(error)[:-1], strict=False))
        yield (json.dumps(told, ensure_ascii=False) + "\n").encode()
        if row["row"]:
            yield f"{row['row']}\n".encode()


def _header(report: ImportReport) -> list[str]:
    file = (_FILE,) if report.has_files else ()
    own = [name for name in report.table_columns if name not in REPORT_COLUMNS]
    return [*own, *file, *_REPORT]


def _rows(report: ImportReport, path: Path) -> Iterator[list[str]]:
    names = report.table_columns
    for row in iter_rows(path):
        error = shown_error(row, report.headers)
        cells = error.cells or ("",) * len(names)
        # A file that was given out before has a report already.
        own = [cell for name, cell in zip(names, cells, strict=False) if name not in REPORT_COLUMNS]
        file = (error.file,) if report.has_files else ()
        yield [*own, *file, *_told(error)]


def _told(error: ShownError) -> tuple[str, ...]:
    line = "" if error.line is None else str(error.line)
    text = "" if error.cells is not None else error.text
    return (line, error.column, error.code, error.message, error.hint, text)

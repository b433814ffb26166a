"""The only way data files are read: uploads in a child process, and every recipe.

`scan_rows` reports what is wrong row by row and goes on; `pipeline.data.datasets.read_rows` accepts
a file whole or raises. Formats are told apart by content, never by file name alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.contracts.returned_tables import is_report_line
from pipeline.contracts.row_errors import RowError
from pipeline.data.benchmarks.recognition import Recognised, recognise
from pipeline.data.columns import IGNORE
from pipeline.data.documents.reading import DOCUMENT_NAMES, document_records
from pipeline.data.encodings import Encoding, find_encoding
from pipeline.data.field_names import named_fields
from pipeline.data.formats import TEXT_FORMATS, FileFormat, detect_format
from pipeline.data.json_streams import read_json_array
from pipeline.data.json_values import RawRow
from pipeline.data.readers_csv import read_csv
from pipeline.data.readers_json import read_json_lines
from pipeline.data.readers_parquet import holds_version, read_parquet
from pipeline.data.readers_xlsx import SheetsRead, read_xlsx
from pipeline.data.reading import Reading
from pipeline.data.record_builder import RecordBuilder
from pipeline.data.records import Record
from pipeline.data.table_forms import settled_reading

_MAX_KEY_SETS = 1000
"""Of rows with different keys, whose names are worked out once."""


def scan_rows(path: Path, reading: Reading) -> Iterator[Record | RowError]:
    """Each row of the file in order, as a record or as the reason why it is none.

    Every row that is not blank yields exactly one of the two, so rows = valid + rejected. An error
    whose `is_about_file` holds ends the reading. Memory is bounded by the longest row (16 MiB) plus
    one small entry for each id, which finding duplicates needs.

    Args:
        path: JSON Lines, JSON array, CSV (comma, semicolon, tab, bar), XLSX, Parquet, or a document
            (text, Markdown, Word, PDF); decided by content, between text and CSV by name, too.
        reading: What the rows are and what a person says of the file.
    """
    for item in numbered_rows(path, reading):
        yield item if isinstance(item, RowError) else item[1]


def numbered_rows(
    path: Path,
    reading: Reading,
    *,
    recognised: Recognised | None = None,
    name: str = "",
    sheets: SheetsRead | None = None,
) -> Iterator[tuple[int, Record] | RowError]:
    """As `scan_rows`, each record with its line or row number; an error carries its own.

    `recognised` is what is known of the file's layout; None finds it out by the file's own name.
    `name` is what a person calls the file, where that is another.
    `sheets` gets what is known of the rows of a workbook.
    """
    file_format = detect_format(path, reading)
    if isinstance(file_format, RowError):
        yield file_format
        return
    if file_format == "zip":
        yield RowError(code="file.type", params={"detected": "a zip archive"})
        return
    chosen: Encoding = "utf-8"
    if file_format in TEXT_FORMATS:
        detected = find_encoding(path, reading.encoding)
        if detected.encoding is None:
            yield detected.refusal
            return
        chosen = detected.encoding
    if file_format in DOCUMENT_NAMES:
        yield from document_records(path, file_format, chosen, reading, name=name or path.name)
        return
    if file_format == "csv":
        reading = settled_reading(path, chosen, reading)
    known = recognised or recognise(
        path, name=path.name, file_format=file_format, encoding=chosen, reading=reading
    )
    kind = reading.kind
    refusal = known.wrong_kind(kind)
    if refusal is not None:
        yield refusal
        return
    builder = RecordBuilder(
        path,
        reading,
        file_format=file_format,
        encoding=chosen,
        known=known,
        is_version=file_format == "parquet" and holds_version(path),
    )
    of_sheets = file_format == "xlsx" and len(reading.sheets) > 1
    is_empty = True
    for item in _raw_rows(path, reading, file_format, chosen, known, sheets):
        is_empty = False
        if isinstance(item, RowError):
            yield item
            continue
        line, row = item
        if is_report_line(row):
            continue
        if reading.turns is not None:
            row = reading.turns.renamed(row)
        found = builder.build(line, row)
        if isinstance(found, RowError):
            yield replace(found, file=row["meta"]["sheet"]) if of_sheets else found
        else:
            for record in found:
                yield line, record
    if is_empty:
        yield RowError(code="file.empty", params={"bytes": path.stat().st_size})
    yield from builder.errors()


def _raw_rows(
    path: Path,
    reading: Reading,
    file_format: FileFormat,
    encoding: Encoding,
    known: Recognised,
    sheets: SheetsRead | None,
) -> Iterable[RawRow | RowError]:
    match file_format:
        case "xlsx":
            return read_xlsx(path, reading, sheets)
        case "parquet":
            return _named(read_parquet(path, reading.columns), reading, known)
        case "json_array":
            return _named(read_json_array(path, encoding), reading, known)
        case "json_lines":
            return _named(read_json_lines(path, encoding), reading, known)
        case _:
            return read_csv(path, encoding, reading, table=known.table)


def _named(
    items: Iterator[RawRow | RowError], reading: Reading, known: Recognised
) -> Iterator[RawRow | RowError]:
    """Rows with the fields' own names. Rows of a benchmark have the names of its layout."""
    names_by_keys: dict[tuple[str, ...], Mapping[str, str]] = {}
    for item in items:
        if isinstance(item, RowError):
            yield item
            continue
        line, row = item
        if reading.columns:
            row = _rename_fields(row, reading.columns)
        if known.layout is None:
            keys = tuple(row)
            names = names_by_keys.get(keys)
            if names is None:
                names = named_fields(keys, reading.kind)
                if len(names_by_keys) < _MAX_KEY_SETS:
                    names_by_keys[keys] = names
            if names:
                row = {names.get(key, key): value for key, value in row.items()}
        yield line, row


def _rename_fields(row: dict[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    renamed: dict[str, Any] = {}
    meta: dict[str, Any] = {}
    for name, value in row.items():
        target = mapping.get(name, name)
        if target.startswith("meta."):
            meta[target.removeprefix("meta.")] = value
        elif target != IGNORE:
            renamed[target] = value
    if meta:
        own = renamed.get("meta")
        renamed["meta"] = {**meta, **own} if isinstance(own, dict) else meta
    return renamed


__all__ = [
    "FileFormat",
    "Recognised",
    "detect_format",
    "numbered_rows",
    "recognise",
    "scan_rows",
]

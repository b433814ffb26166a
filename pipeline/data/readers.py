"""The only way data files are read: uploads in a child process, and every recipe.

`scan_rows` reports what is wrong row by row and goes on; `pipeline.data.datasets.read_rows` accepts
a file whole or raises. Formats are told apart by content, never by file name alone.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pipeline.contracts.references import DatasetKind
from pipeline.contracts.row_errors import RowError
from pipeline.data.columns import IGNORE
from pipeline.data.encodings import (
    UTF8_BOM,
    UTF16_BOMS,
    Encoding,
    EncodingChoice,
    decodes_as,
    detect_encoding,
)
from pipeline.data.layouts import build_record
from pipeline.data.readers_csv import read_csv
from pipeline.data.readers_json import RawRow, read_json_array, read_json_lines
from pipeline.data.readers_parquet import read_parquet
from pipeline.data.readers_xlsx import read_xlsx
from pipeline.data.records import Record
from pipeline.data.row_fields import InvalidRowError

FileFormat = Literal["json_lines", "json_array", "csv", "xlsx", "parquet"]

_HEAD_BYTES = 8192
_ARRAY_OF_OBJECTS = re.compile(rb"\[\s*([{\]]|$)")
_SIGNATURES: Sequence[tuple[bytes, str]] = (
    (b"%PDF-", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"SQLite format 3", "a database"),
    (b"GGUF", "a model file"),
)
_OLE_SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def scan_rows(
    path: Path,
    *,
    kind: DatasetKind,
    encoding: EncodingChoice = "auto",
    mapping: Mapping[str, str] | None = None,
    sheet: str | None = None,
) -> Iterator[Record | RowError]:
    """Each row of the file in order, as a record or as the reason why it is none.

    Every row that is not blank yields exactly one of the two, so rows = valid + rejected. An error
    whose `is_about_file` holds ends the reading. Memory is bounded by the longest row (16 MiB) plus
    one small entry for each id, which finding duplicates needs.

    Args:
        path: JSON Lines, JSON array, CSV (comma, semicolon, tab), XLSX, or the Parquet of a
            committed version; decided by content.
        kind: What the rows are.
        encoding: `auto` takes UTF-8 if the whole file is valid UTF-8, else GB18030 if it is valid
            that. Nothing is ever replaced or skipped. Workbooks have their own encoding.
        mapping: Column or top-level key -> field, `meta.<name>` or `ignore`, for names the alias
            table does not know.
        sheet: Which sheet of a workbook; None takes the only visible one with content.
    """
    for item in numbered_rows(path, kind=kind, encoding=encoding, mapping=mapping, sheet=sheet):
        yield item if isinstance(item, RowError) else item[1]


def numbered_rows(
    path: Path,
    *,
    kind: DatasetKind,
    encoding: EncodingChoice = "auto",
    mapping: Mapping[str, str] | None = None,
    sheet: str | None = None,
) -> Iterator[tuple[int, Record] | RowError]:
    """As `scan_rows`, each record with its line or row number; an error carries its own."""
    first_lines: dict[str, int] = {}
    for item in _raw_rows(path, kind, encoding, mapping, sheet):
        if isinstance(item, RowError):
            yield item
            continue
        line, row = item
        try:
            record = build_record(row, kind=kind, line=line)
            first_line = first_lines.setdefault(record.id, line)
            if first_line != line:
                raise InvalidRowError(
                    "row.id_duplicate",
                    "id",
                    value=record.id,
                    id=record.id[:80],
                    first_line=first_line,
                )
        except InvalidRowError as exc:
            yield exc.at_line(line)
        else:
            yield line, record


def _raw_rows(
    path: Path,
    kind: DatasetKind,
    encoding: EncodingChoice,
    mapping: Mapping[str, str] | None,
    sheet: str | None,
) -> Iterable[RawRow | RowError]:
    file_format = detect_format(path)
    if isinstance(file_format, RowError):
        return [file_format]
    if file_format == "xlsx":
        return read_xlsx(path, kind=kind, mapping=mapping, sheet=sheet)
    if file_format == "parquet":
        return _renamed(read_parquet(path), mapping)
    chosen: Encoding = detect_encoding(path) if encoding == "auto" else encoding
    if file_format == "json_array":
        return _renamed(read_json_array(path, chosen), mapping)
    if file_format == "json_lines":
        return _renamed(read_json_lines(path, chosen), mapping)
    return read_csv(path, chosen, kind=kind, mapping=mapping)


def detect_format(path: Path) -> FileFormat | RowError:
    """How the file is read, or why it cannot be.

    The suffix only decides between formats that the content allows.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(b"PK\x03\x04"):
        return "xlsx"
    if head.startswith(b"PAR1"):
        return "parquet"
    refusal = _refusal(head, path)
    if refusal is not None:
        return refusal
    start = head.removeprefix(UTF8_BOM).lstrip()
    is_named_as_table = path.suffix.lower() in {".csv", ".tsv"}
    if not is_named_as_table and _ARRAY_OF_OBJECTS.match(start):
        return "json_array"
    is_named_as_json = path.suffix.lower() in {".jsonl", ".json", ".ndjson"}
    if is_named_as_json or (start.startswith(b"{") and not is_named_as_table):
        return "json_lines"
    return "csv"


def _refusal(head: bytes, path: Path) -> RowError | None:
    for signature, detected in _SIGNATURES:
        if head.startswith(signature):
            return RowError(code="file.type", params={"detected": detected})
    if head.startswith(_OLE_SIGNATURE):
        return RowError(code="file.xlsx_old")
    if head.startswith(UTF16_BOMS):
        return RowError(code="file.encoding_utf16", line=1)
    start = head.removeprefix(UTF8_BOM).lstrip()
    if not start:
        # A first block of white space with content after it is left to the row readers.
        size = path.stat().st_size
        if size <= len(head):
            return RowError(code="file.empty", params={"bytes": size})
    if start[:5].lower().startswith((b"<html", b"<!doc", b"<?xml", b"<svg")):
        return RowError(code="file.type", params={"detected": "a web page or XML"})
    # One stray NUL is an error of its row; many control bytes are not text.
    control = sum(byte < 9 or 13 < byte < 32 for byte in head)
    if control > max(8, len(head) // 50):
        return RowError(code="file.type", params={"detected": "binary data"})
    return None


def _renamed(
    items: Iterator[RawRow | RowError], mapping: Mapping[str, str] | None
) -> Iterator[RawRow | RowError]:
    if not mapping:
        yield from items
        return
    for item in items:
        if isinstance(item, RowError):
            yield item
        else:
            line, row = item
            yield line, _rename_fields(row, mapping)


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
    "decodes_as",
    "detect_encoding",
    "detect_format",
    "numbered_rows",
    "scan_rows",
]

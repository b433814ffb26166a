"""The only way data files are read: uploads in a child process, and every recipe.

`read_rows` reports what is wrong row by row and goes on; `read_dataset` accepts a file whole or
raises the error a person can act upon. Formats are told apart by content, never by file name alone.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

from pipeline.contracts.references import DatasetKind, DatasetRef, RowFilter
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
from pipeline.data.layouts import InvalidRowError, build_record
from pipeline.data.readers_csv import read_csv
from pipeline.data.readers_json import RawRow, read_json_array, read_json_lines
from pipeline.data.readers_parquet import read_parquet
from pipeline.data.readers_xlsx import read_xlsx
from pipeline.data.records import Record
from pipeline.errors import DataError

FileFormat = Literal["json_lines", "json_array", "csv", "xlsx", "parquet"]

_HEAD_BYTES = 8192
_NUM_LISTED_ERRORS = 5
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


def read_rows(
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
            yield record


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


def read_dataset(ref: DatasetRef) -> list[Record]:
    """All rows the reference names: the file is valid as a whole, filtered and thinned out.

    `limit` takes rows spread evenly over the filtered file, so a file sorted by topic stays
    balanced; the choice depends on nothing but the file and the limit.

    Raises:
        DataError: `data.not_found`, `data.digest_mismatch`, `data.encoding`, `data.json_syntax`,
            `data.row_invalid`, `data.format_unsupported` or `data.empty`.
    """
    path = Path(ref.resolved_path)
    if not path.is_file():
        what = "is a directory, not a file" if path.is_dir() else "does not exist"
        raise DataError("data.not_found", f"{path} {what}; give the path of a data file")
    if ref.digest is not None:
        found = dataset_digest(path)
        if found != ref.digest:
            raise DataError(
                "data.digest_mismatch",
                f"{path} has SHA-256 {found}, expected {ref.digest}: the file has changed since "
                "the run was described; restore it, or describe the run again",
            )
    records: list[Record] = []
    errors: list[RowError] = []
    for item in read_rows(path, kind=ref.kind, encoding=ref.encoding):
        if isinstance(item, RowError):
            errors.append(item)
        else:
            records.append(item)
    if errors:
        _raise_errors(path, errors, num_valid=len(records))
    if not records:
        raise DataError("data.empty", f"{path} holds no rows")
    kept = [record for record in records if all(_matches(record, rule) for rule in ref.where)]
    if not kept:
        filters = ", ".join(
            f"{rule.field} {'in' if rule.keep else 'not in'} {list(rule.values)}"
            for rule in ref.where
        )
        raise DataError(
            "data.empty",
            f"{path} holds {len(records)} rows, but none passes the filter ({filters}); values are "
            'compared with their type, so the number 1 is not the text "1"',
        )
    if ref.limit is not None and ref.limit < len(kept):
        kept = [kept[index * len(kept) // ref.limit] for index in range(ref.limit)]
    return kept


def _raise_errors(path: Path, errors: Sequence[RowError], *, num_valid: int) -> NoReturn:
    first = errors[0]
    place = f"{path}" if first.line is None else f"{path}:{first.line}"
    if first.code == "file.empty":
        raise DataError("data.empty", f"{path}: {first.message}; {first.hint}")
    if first.code in {"row.encoding", "row.encoding_gb18030", "file.encoding_utf16"}:
        raise DataError("data.encoding", _encoding_message(path, first))
    if first.is_about_file and not first.code.startswith(("header.", "file.array")):
        raise DataError("data.format_unsupported", f"{path}: {first.message}; {first.hint}")
    if first.code in {"json.syntax", "file.array_syntax"}:
        raise DataError(
            "data.json_syntax",
            f"{place}:{first.params['char']}: {first.message}; {first.hint}"
            + (f" (and {len(errors) - 1} more rows)" if len(errors) > 1 else ""),
        )
    lines = [
        f"  {path.name}:{error.line}: {error.message}; {error.hint} [{error.code}]"
        for error in errors[:_NUM_LISTED_ERRORS]
    ]
    if len(errors) > _NUM_LISTED_ERRORS:
        lines.append(f"  and {len(errors) - _NUM_LISTED_ERRORS} more")
    raise DataError(
        "data.row_invalid",
        f"{path}: {len(errors)} of {len(errors) + num_valid} rows are invalid:\n"
        + "\n".join(lines),
    )


def _encoding_message(path: Path, error: RowError) -> str:
    if error.code == "file.encoding_utf16":
        return f"{path}: {error.message}; {error.hint}"
    with path.open("rb") as file:
        line_start = sum(len(next(file)) for _ in range((error.line or 1) - 1))
        bom = len(UTF8_BOM) if line_start == 0 and file.read(3) == UTF8_BOM else 0
    offset = line_start + bom + int(error.params["byte"]) - 1
    return f"{path}:{error.line}: byte offset {offset}: {error.message}; {error.hint}"


def _matches(record: Record, rule: RowFilter) -> bool:
    value: Any = record
    for name in rule.field.split("."):
        value = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    # 1 == True in Python; a filter on the number 1 must not keep the value true.
    found = any(type(value) is type(wanted) and value == wanted for wanted in rule.values)
    return found == rule.keep


def dataset_digest(path: Path) -> str:
    """SHA-256 of the file's bytes, lower-case hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


__all__ = [
    "FileFormat",
    "dataset_digest",
    "decodes_as",
    "detect_encoding",
    "detect_format",
    "read_dataset",
    "read_rows",
]

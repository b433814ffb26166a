"""Rows of Parquet files of other origin, such as those of a hub: columns are keys of the rows.

Values are what a JSON document could hold; dates and decimals become their text. Nothing is
unpacked that the file does not say the size of. One value of a few megabytes may stand in a million
rows, so that batches are small where a file has long ones.
"""

import datetime
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contracts.row_error_phrases import PARQUET_PAGE, PARQUET_ROWS, PARQUET_TEXT
from pipeline.contracts.row_errors import RowError
from pipeline.data.columns import IGNORE, MAX_COLUMNS
from pipeline.data.json_values import RawRow, parse_object
from pipeline.data.parquet_pages import PageSizes, page_sizes
from pipeline.data.row_fields import InvalidRowError
from pipeline.data.text_lines import MAX_ROW_BYTES, too_long

MIN_PAGE_BYTES, MAX_PAGE_BYTES = 20 << 20, 256 << 20
MAX_PAGE_RATIO = 4
"""A page may unpack to that many times the size of the whole file, between these two limits:
writers put a thousand rows into a page, however long they are."""
MAX_PAGE_VALUES = 4_000_000
MAX_LIST_LENGTH = 100_000
"""Turns of a conversation, or what else a row has a list of."""
MIN_ROWS = 100_000
"""A file may have as many, and beyond them one row for each of its bytes."""
MIN_TEXT_BYTES = 64 << 20
MAX_TEXT_RATIO = 200
"""A file may hold that many times its size as text, once it is more than `MIN_TEXT_BYTES`."""
_BATCH_ROWS = 1_000
_BATCH_BYTES = 16 << 20
_BATCH_VALUES = 1_000_000
_BATCH_DICTIONARY_BYTES = 64 << 20
_READ_BYTES = 1 << 20
_MAX_DEPTH = 8


def foreign_rows(
    file: pq.ParquetFile, path: Path, mapping: Mapping[str, str]
) -> Iterator[RawRow | RowError]:
    """One raw row for each row of the file; its line is its number from 1.

    Columns that a person leaves out are not looked at.
    """
    names = [name for name in file.schema_arrow.names if mapping.get(name) != IGNORE]
    if not file.metadata.num_rows:
        yield RowError(code="file.empty", params={"bytes": path.stat().st_size})
        return
    refusal = _refused_columns(file, names)
    if refusal is not None:
        yield refusal
        return
    with path.open("rb") as content:
        pages = page_sizes(content, file.metadata)
    refusal = _refused_sizes(file.metadata, pages, path.stat().st_size)
    if refusal is not None:
        yield refusal
        return
    # Read as it comes: a column may be as large as the file.
    with pq.ParquetFile(path, buffer_size=_READ_BYTES) as rows:
        left = _most_text(path.stat().st_size)
        number = 0
        for batch in rows.iter_batches(batch_size=_batch_rows(file.metadata, pages), columns=names):
            columns = [(name, batch.column(name)) for name in batch.schema.names]
            for index in range(batch.num_rows):
                number += 1
                text = _row_text(columns, index)
                left -= 0 if text is None else len(text)
                if left < 0:
                    yield _unsafe(PARQUET_TEXT)
                    return
                yield too_long(number) if text is None else _parsed(text, number)


def _parsed(text: str, number: int) -> RawRow | RowError:
    try:
        return number, parse_object(text)
    except InvalidRowError as exc:
        return exc.at_line(number)


def _row_text(columns: list[tuple[str, pa.Array]], index: int) -> str | None:
    """The row as JSON; None where it is too long to be written."""
    row: dict[str, Any] = {}
    for name, column in columns:
        value = column[index]
        if isinstance(value, pa.ListScalar) and value.is_valid and len(value) > MAX_LIST_LENGTH:
            return None
        row[name] = _present(value.as_py())
    text = json.dumps(row, ensure_ascii=False, default=_shown)
    return None if len(text) > MAX_ROW_BYTES else text


def _present(value: object) -> object:
    """The value without those keys of its parts that the file only has because others have them.

    A number that is none is how data frames say that there is no value.
    """
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {key: _present(item) for key, item in value.items() if item is not None}
    return [_present(item) for item in value] if isinstance(value, list) else value


def _shown(value: object) -> str:
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


def _refused_columns(file: pq.ParquetFile, names: list[str]) -> RowError | None:
    schema = file.schema_arrow
    if len(names) > MAX_COLUMNS:
        params: dict[str, str | int] = {"count": len(names), "limit": MAX_COLUMNS}
        return RowError(code="header.too_many", line=1, params=params)
    for name in names:
        if not _is_readable(schema.field(name).type, _MAX_DEPTH):
            kind = str(schema.field(name).type)[:80]
            return RowError(
                code="file.parquet_column",
                column=name[:80],
                params={"column": name[:80], "type": kind},
            )
    return None


def _refused_sizes(metadata: pq.FileMetaData, pages: PageSizes, num_bytes: int) -> RowError | None:
    if metadata.num_rows > max(MIN_ROWS, num_bytes):
        return _unsafe(PARQUET_ROWS)
    most = min(MAX_PAGE_BYTES, max(MIN_PAGE_BYTES, MAX_PAGE_RATIO * num_bytes))
    if pages.most_bytes > most or pages.most_values > MAX_PAGE_VALUES:
        return _unsafe(PARQUET_PAGE)
    return _unsafe(PARQUET_TEXT) if pages.total_bytes > _most_text(num_bytes) else None


def _most_text(num_bytes: int) -> int:
    return max(MIN_TEXT_BYTES, MAX_TEXT_RATIO * num_bytes)


def _batch_rows(metadata: pq.FileMetaData, pages: PageSizes) -> int:
    """So many rows that a batch takes little memory, though each has the longest value of all."""
    rows = min(_BATCH_ROWS, _BATCH_DICTIONARY_BYTES // max(1, pages.dictionary_bytes))
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        chunks = map(group.column, range(group.num_columns))
        values = max((chunk.num_values for chunk in chunks), default=0)
        rows = min(
            rows,
            _BATCH_BYTES * group.num_rows // max(1, group.total_byte_size),
            _BATCH_VALUES * group.num_rows // max(1, values),
        )
    return max(1, rows)


def _unsafe(reason: str) -> RowError:
    return RowError(code="file.parquet_unsafe", params={"reason": reason})


def _is_readable(kind: pa.DataType, depth: int) -> bool:
    """A person could write values of the type down."""
    if depth == 0:
        return False
    if pa.types.is_struct(kind):
        return all(_is_readable(child.type, depth - 1) for child in kind)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_readable(kind.value_type, depth - 1)
    if pa.types.is_dictionary(kind):
        return _is_readable(kind.value_type, depth - 1)
    return (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_date(kind)
        or pa.types.is_time(kind)
        or pa.types.is_timestamp(kind)
    )

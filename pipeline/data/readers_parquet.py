"""Rows of the Parquet files that hold committed data set versions, or a known benchmark.

The schema of a version is the record's own fields; `meta`, whose keys differ from row to row, is
JSON text. Parquet of other origin is refused, because its columns could mean anything, unless they
are exactly those in which a benchmark is published.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contracts.row_errors import RowError
from pipeline.data.json_values import RawRow, parse_object
from pipeline.data.row_fields import InvalidRowError
from pipeline.data.row_schemas import is_of_version

BATCH_ROWS = 1_000


def read_parquet(path: Path, *, is_known_layout: bool = False) -> Iterator[RawRow | RowError]:
    """One raw row for each row of the file; its line is its number from 1.

    A file of other origin is read only if its layout is known, values as they are.
    """
    try:
        with pq.ParquetFile(path) as file:
            is_version = is_of_version(file.schema_arrow)
            if not is_version and not is_known_layout:
                yield RowError(code="file.parquet_foreign")
                return
            number = 0
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield _version_row(row, number) if is_version else _foreign_row(row, number)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        yield RowError(code="file.parquet_damaged")


def holds_version(path: Path) -> bool:
    """The file is `rows.parquet` of a version, whose rows were checked when it was made."""
    try:
        with pq.ParquetFile(path) as file:
            return is_of_version(file.schema_arrow)
    except (pa.ArrowException, OSError):
        return False  # told when its rows are read


def first_foreign_rows(path: Path, count: int) -> Iterator[RawRow | RowError]:
    """The first rows of a file that is no version of ours and holds only plain values."""
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            if is_of_version(schema) or not all(map(_is_plain, schema.types)):
                return
            for batch in file.iter_batches(batch_size=count):
                yield from enumerate(batch.to_pylist(), start=1)
                return
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return  # the error is told when the file is read


def _is_plain(kind: pa.DataType) -> bool:
    """Values of the type can stand in a JSON document."""
    if pa.types.is_struct(kind):
        return all(_is_plain(child.type) for child in kind)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_plain(kind.value_type)
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return is_text or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or kind == pa.null()


def _foreign_row(row: dict[str, object], number: int) -> RawRow | RowError:
    try:
        return number, parse_object(json.dumps(row, ensure_ascii=False))
    except InvalidRowError as exc:
        return exc.at_line(number)


def _version_row(row: dict[str, object], number: int) -> RawRow | RowError:
    try:
        meta = parse_object(str(row["meta"]))
    except InvalidRowError as exc:
        return exc.at_line(number)
    present = {name: value for name, value in row.items() if value is not None}
    return number, {**present, "meta": meta}

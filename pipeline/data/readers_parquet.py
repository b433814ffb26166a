"""Rows of Parquet files: committed data set versions, and what others wrote.

The schema of a version is the record's own fields; `meta`, whose keys differ from row to row, is
JSON text.
"""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contracts.row_errors import RowError
from pipeline.data.json_values import RawRow, parse_object
from pipeline.data.readers_foreign_parquet import foreign_rows
from pipeline.data.row_fields import InvalidRowError
from pipeline.data.row_schemas import is_of_version

BATCH_ROWS = 1_000


def read_parquet(path: Path, mapping: Mapping[str, str]) -> Iterator[RawRow | RowError]:
    """One raw row for each row of the file; its line is its number from 1.

    Of a file of other origin the columns are the keys, without those that `mapping` leaves out.
    """
    try:
        with pq.ParquetFile(path) as file:
            if not is_of_version(file.schema_arrow):
                yield from foreign_rows(file, path, mapping)
                return
            number = 0
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield _version_row(row, number)
    except (pa.ArrowException, OSError, ValueError):
        yield RowError(code="file.parquet_damaged")


def foreign_columns(path: Path) -> list[str]:
    """Names of all columns of a file that is no version of ours, readable or not."""
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            return [] if is_of_version(schema) else list(schema.names)
    except (pa.ArrowException, OSError, ValueError):
        return []  # the error is told when the file is read


def holds_version(path: Path) -> bool:
    """The file is `rows.parquet` of a version, whose rows were checked when it was made."""
    try:
        with pq.ParquetFile(path) as file:
            return is_of_version(file.schema_arrow)
    except (pa.ArrowException, OSError):
        return False  # told when its rows are read


def first_foreign_rows(path: Path, count: int) -> Iterator[RawRow | RowError]:
    """The first rows of a file that is no version of ours."""
    try:
        with pq.ParquetFile(path) as file:
            if not is_of_version(file.schema_arrow):
                yield from itertools.islice(foreign_rows(file, path, {}), count)
    except (pa.ArrowException, OSError, ValueError):
        return  # the error is told when the file is read


def _version_row(row: dict[str, object], number: int) -> RawRow | RowError:
    try:
        meta = parse_object(str(row["meta"]))
    except InvalidRowError as exc:
        return exc.at_line(number)
    present = {name: value for name, value in row.items() if value is not None}
    return number, {**present, "meta": meta}

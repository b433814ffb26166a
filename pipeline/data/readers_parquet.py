"""Rows of the Parquet files that hold committed data set versions.

The schema is the record's own fields; `meta`, whose keys differ from row to row, is JSON text.
Parquet of other origin is refused: its columns could mean anything.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contracts.references import DatasetKind
from pipeline.contracts.row_errors import RowError
from pipeline.data.readers_json import RawRow, parse_object
from pipeline.data.row_fields import InvalidRowError

BATCH_ROWS = 1_000
_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_OWN_FIELDS: Mapping[DatasetKind, list[tuple[str, pa.DataType]]] = {
    "corpus": [("title", pa.string()), ("text", pa.string())],
    "conversations": [("messages", _MESSAGES)],
    "domain_test": [
        ("instruction", pa.string()),
        ("input", pa.string()),
        ("output", pa.string()),
    ],
    "multiple_choice": [
        ("question", pa.string()),
        ("choices", pa.list_(pa.string())),
        ("answer", pa.int64()),
    ],
}
ROW_SCHEMAS: Mapping[DatasetKind, pa.Schema] = MappingProxyType(
    {
        kind: pa.schema(
            [
                ("id", pa.string()),
                ("lang", pa.string()),
                *fields,
                ("source", pa.string()),
                ("license", pa.string()),
                ("meta", pa.string()),
            ]
        )
        for kind, fields in _OWN_FIELDS.items()
    }
)
"""Columns of a version's `rows.parquet`, for each kind."""


def read_parquet(path: Path) -> Iterator[RawRow | RowError]:
    """One raw row for each row of a committed version; its line is its number from 1."""
    try:
        with pq.ParquetFile(path) as file:
            if file.schema_arrow.remove_metadata() not in ROW_SCHEMAS.values():
                yield RowError(code="file.parquet_foreign")
                return
            number = 0
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield _raw_row(row, number)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        yield RowError(code="file.parquet_damaged")


def _raw_row(row: dict[str, object], number: int) -> RawRow | RowError:
    try:
        meta = parse_object(str(row["meta"]))
    except InvalidRowError as exc:
        return exc.at_line(number)
    present = {name: value for name, value in row.items() if value is not None}
    return number, {**present, "meta": meta}

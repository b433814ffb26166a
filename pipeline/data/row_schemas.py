"""Columns of a version's `rows.parquet`, for each kind, now and as they once were."""

from collections.abc import Mapping
from types import MappingProxyType

import pyarrow as pa

from pipeline.contracts.references import DatasetKind

_TURN = pa.struct([("role", pa.string()), ("content", pa.string()), ("weight", pa.int64())])
"""`weight` is 0 where an answer is not trained on, and empty elsewhere."""
_TURN_WITHOUT_WEIGHT = pa.struct([("role", pa.string()), ("content", pa.string())])
_EXCHANGE = [("instruction", pa.string()), ("input", pa.string()), ("output", pa.string())]
_CONTEXT = [("system", pa.string()), ("history", pa.list_(pa.list_(pa.string())))]
_CHOICE = [
    ("question", pa.string()),
    ("choices", pa.list_(pa.string())),
    ("answer", pa.int64()),
]
_OTHER_ANSWERS = [("other_answers", pa.list_(pa.int64()))]


def _schema(fields: list[tuple[str, pa.DataType]]) -> pa.Schema:
    return pa.schema(
        [
            ("id", pa.string()),
            ("lang", pa.string()),
            *fields,
            ("source", pa.string()),
            ("license", pa.string()),
            ("meta", pa.string()),
        ]
    )


ROW_SCHEMAS: Mapping[DatasetKind, pa.Schema] = MappingProxyType(
    {
        "corpus": _schema([("title", pa.string()), ("text", pa.string())]),
        "conversations": _schema([("messages", pa.list_(_TURN))]),
        "domain_test": _schema([*_EXCHANGE, *_CONTEXT]),
        "multiple_choice": _schema([*_CHOICE, *_OTHER_ANSWERS]),
    }
)
_FORMER_SCHEMAS = (
    _schema([("messages", pa.list_(_TURN_WITHOUT_WEIGHT))]),
    _schema(_EXCHANGE),
    _schema(_CHOICE),
)


def is_of_version(schema: pa.Schema) -> bool:
    """A Parquet file with these columns holds rows of a version, now or by an earlier release."""
    plain = schema.remove_metadata()
    return plain in ROW_SCHEMAS.values() or plain in _FORMER_SCHEMAS

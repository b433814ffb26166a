"""The columns of a table, or the keys of JSON rows, with their meaning and a few values."""

import itertools
import json
from collections.abc import Iterator, Sequence

from pipeline.contracts.preview_dataset import PreviewedColumn
from pipeline.data.columns import MAX_COLUMNS, column_fields
from pipeline.data.import_sources import SourceData
from pipeline.data.original_rows import OriginalRow, OriginalRows
from pipeline.data.version_files import storable

NUM_SAMPLED_ROWS = 20
NUM_SAMPLES = 3
MAX_SAMPLE_CHARS = 60


def previewed_columns(data: SourceData) -> tuple[PreviewedColumn, ...]:
    """Each column of a table by position, or each top-level key of the first rows; none of others.

    All columns are there, whether or not they suffice, so that a person can say what they mean.
    """
    rows = data.originals()
    if data.file_format in {"csv", "xlsx"}:
        names = rows.columns[:MAX_COLUMNS]  # with more of them the file is refused
        table = data.table
        fields: Sequence[str] = (
            column_fields(names, data.reading) if table is None else table.fields
        )
        samples = _samples(_cells(rows), len(names))
        return tuple(
            PreviewedColumn(
                position=position, name=storable(name), field=storable(field), samples=found
            )
            for position, (name, field, found) in enumerate(
                zip(names, fields, samples, strict=False), start=1
            )
        )
    keys = data.columns()[:MAX_COLUMNS]
    samples = _samples(_values(rows, [key for key, _field in keys]), len(keys))
    return tuple(
        PreviewedColumn(position=None, name=storable(key), field=storable(field), samples=found)
        for (key, field), found in zip(keys, samples, strict=True)
    )


def _cells(rows: OriginalRows) -> Iterator[Sequence[str]]:
    for row in itertools.islice(rows.rest(), NUM_SAMPLED_ROWS):
        yield row.cells or ()


def _values(rows: OriginalRows, keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for row in itertools.islice(rows.rest(), NUM_SAMPLED_ROWS):
        value = _object(row)
        yield [_text(value.get(key)) for key in keys]


def _object(row: OriginalRow) -> dict[str, object]:
    try:
        value = json.loads(row.text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _samples(rows: Iterator[Sequence[str]], num_columns: int) -> list[tuple[str, ...]]:
    found: list[list[str]] = [[] for _ in range(num_columns)]
    for cells in rows:
        for samples, cell in zip(found, cells, strict=False):
            text = " ".join(cell[: 4 * MAX_SAMPLE_CHARS].split())[:MAX_SAMPLE_CHARS]
            if text and text not in samples and len(samples) < NUM_SAMPLES:
                samples.append(storable(text))
    return [tuple(samples) for samples in found]

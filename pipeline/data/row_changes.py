"""What changes do to rows of a version; each changed row is checked like an uploaded one."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pipeline.contracts.dataset_revisions import (
    AddRow,
    MapValue,
    ReplaceRow,
    RowChange,
    TrimTexts,
)
from pipeline.contracts.references import DatasetKind
from pipeline.data.columns import row_from_cells
from pipeline.data.layouts import build_record
from pipeline.data.readers_json import parse_object
from pipeline.data.records import Record

RawRow = dict[str, Any]


def replaced(change: ReplaceRow, kind: DatasetKind) -> Record:
    """The row that is to stand in the place of the one that the change names.

    Raises:
        InvalidRowError: its content is no row of the kind.
    """
    return build_record({**parse_object(change.text), "id": change.id}, kind=kind, line=1)


def added(change: AddRow, kind: DatasetKind) -> Record:
    """The row that is to be added.

    Raises:
        InvalidRowError: it is no row of the kind.
    """
    if change.text is not None:
        row = parse_object(change.text)
    else:
        cells = change.cells or {}
        row = row_from_cells(tuple(cells), tuple(cells.values()))
    return build_record(row, kind=kind, line=change.line)


def fixed(record: Record, changes: Iterable[RowChange], kind: DatasetKind) -> Record:
    """The row after the changes that concern every row; the same object where they do nothing.

    Raises:
        InvalidRowError: it is no row of the kind any more.
    """
    before = row = _plain(record)
    for change in changes:
        if isinstance(change, TrimTexts):
            row = {name: _trimmed(value) for name, value in row.items()} | {"id": record.id}
        elif isinstance(change, MapValue):
            row = _mapped(row, change)
    return record if row == before else build_record(row, kind=kind, line=1)


def _plain(value: Any) -> Any:
    """A record as a row of a JSON data file, without what it does not have."""
    if is_dataclass(value):
        return {
            field.name: _plain(getattr(value, field.name))
            for field in fields(value)
            if getattr(value, field.name) is not None
        }
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _trimmed(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return [_trimmed(item) for item in value]
    if isinstance(value, dict):
        return {name: _trimmed(item) for name, item in value.items()}
    return value


def _mapped(row: RawRow, change: MapValue) -> RawRow:
    name = change.field.removeprefix("meta.")
    holder: Mapping[str, Any] = row if name == change.field else row["meta"]
    value = holder.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or str(value) != change.value:
        return row
    changed = {**holder, name: change.to}
    return changed if holder is row else {**row, "meta": changed}

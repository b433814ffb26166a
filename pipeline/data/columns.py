"""Which column of a table is which field: exact names, the aliases people use, or a mapping."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pipeline.contracts.references import DatasetKind
from pipeline.contracts.returned_tables import REPORT_COLUMNS
from pipeline.contracts.row_errors import RowError
from pipeline.data.column_aliases import ALIASES, PAIRED_ALIASES
from pipeline.data.column_names import compared_name, shown_name
from pipeline.data.json_cells import JSON_FIELDS, json_cell
from pipeline.data.reading import Reading
from pipeline.data.untrained_layouts import compares_answers

IGNORE = "ignore"
MAX_COLUMNS = 500

EXCHANGE = ("instruction", "output")
"""What one column `messages` says as well, which holds all turns."""
REQUIRED_COLUMNS: Mapping[DatasetKind, tuple[str, ...]] = MappingProxyType(
    {
        "corpus": ("text",),
        "conversations": EXCHANGE,
        "domain_test": EXCHANGE,
        "multiple_choice": ("question", "answer"),
    }
)
"""Choices stand in columns of their letters or in one; of right or wrong there need not be any."""


def resolve_columns(
    headers: Sequence[str], reading: Reading, line: int = 1
) -> list[str] | RowError:
    """The field of each column, or why the header on `line` cannot be used; see `column_fields`."""

    def refused(code: str, column: str | None = None, **params: str | int) -> RowError:
        return RowError(code=code, line=line, column=column, params=params)

    if len(headers) > MAX_COLUMNS:
        return refused("header.too_many", count=len(headers), limit=MAX_COLUMNS)
    names = [shown_name(header) for header in headers]
    listed = ", ".join(name for name in names if name)[:400]
    compared = {compared_name(name) for name in names}
    for header in reading.columns:
        if header not in names and compared_name(header) not in compared:
            return refused("header.unknown_mapping", header=header, headers=listed)
    for position in reading.columns_at:
        if position > len(names):
            return refused("header.unknown_position", position=position, count=len(names))
    fields = column_fields(names, reading)
    for field in dict.fromkeys(fields):
        sharing = [name for name, other in zip(names, fields, strict=True) if other == field]
        if field != IGNORE and len(sharing) > 1:
            return refused(
                "header.duplicate", column=field, headers=", ".join(sharing), field=field
            )
    needed = [*REQUIRED_COLUMNS[reading.kind], *(["B"] if "A" in fields else [])]
    for field in needed:
        if field in fields or (field in EXCHANGE and "messages" in fields):
            continue
        if field == "output" and compares_answers(tuple(names)):
            return refused("header.preference", headers=listed)
        return refused("header.missing", column=field, field=field, headers=listed)
    return fields


def column_fields(names: Sequence[str], reading: Reading) -> list[str]:
    """What each column means, whether or not the columns suffice.

    What a person says of a column goes before the aliases, of its position before its name.
    Columns that mean no field become `meta.<header>`, those without a header `meta.column_<n>`;
    of several such columns of one name the second becomes `meta.<header>_2`.
    An alias of a field that a person has given to another column means no field.
    """
    aliases = aliases_among(names, reading.kind)
    said = [_said_of(position, name, reading) for position, name in enumerate(names, start=1)]
    fields = []
    for position, (name, explicit) in enumerate(zip(names, said, strict=True), start=1):
        alias = aliases.get(compared_name(name))
        if explicit is not None:
            fields.append(explicit)
        elif alias is not None and alias not in said:
            fields.append(alias)
        elif name in REPORT_COLUMNS:
            fields.append(IGNORE)
        else:
            name = name or f"column_{position}"
            fields.append(_unused(name if name.startswith("meta.") else f"meta.{name}", fields))
    return fields


def _unused(field: str, fields: Sequence[str]) -> str:
    """A name in `meta` of its own for each of several columns of one name."""
    numbered = (f"{field}_{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([field], numbered) if name not in fields)


def aliases_among(names: Iterable[str], kind: DatasetKind) -> Mapping[str, str]:
    """Compared name -> field, as far as it holds in a table or object with these names."""
    aliases = ALIASES[kind]
    if kind in {"conversations", "domain_test"}:
        compared = {compared_name(name) for name in names}
        if compared >= PAIRED_ALIASES.keys():
            return {**aliases, **PAIRED_ALIASES}
    return aliases


def _said_of(position: int, name: str, reading: Reading) -> str | None:
    if position in reading.columns_at:
        return reading.columns_at[position]
    if not reading.columns or not name:
        return None
    if name in reading.columns:
        return reading.columns[name]
    compared = compared_name(name)
    for header, target in reading.columns.items():
        if compared_name(header) == compared:
            return target
    return None


def row_from_cells(fields: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    """The fields of one table row. Empty cells of optional columns count as absent."""
    row: dict[str, Any] = {}
    meta: dict[str, str] = {}
    for field, cell in zip(fields, cells, strict=False):
        if field == IGNORE:
            continue
        if field in JSON_FIELDS:
            if cell:
                row[field] = json_cell(field, cell)
        elif field.startswith("meta."):
            if cell:
                meta[field.removeprefix("meta.")] = cell
        elif cell or field in {"text", "instruction", "output", "question", "answer"}:
            row[field] = cell
    if meta:
        own = row.get("meta", {})
        row["meta"] = {**meta, **own} if isinstance(own, dict) else own
    return row

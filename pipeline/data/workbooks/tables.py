"""A sheet as a table: its header row, then the rows below it."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from openpyxl.utils import get_column_letter

from pipeline.contracts.returned_tables import is_returned, original_cell
from pipeline.contracts.row_errors import RowError, excerpt
from pipeline.data.column_names import compared_name
from pipeline.data.columns import (
    MAX_COLUMNS,
    column_fields,
    resolve_columns,
    row_from_cells,
)
from pipeline.data.readers_json import RawRow
from pipeline.data.reading import Reading
from pipeline.data.table_forms import NUM_HEADER_ROWS, header_index
from pipeline.data.workbooks.notes import SheetNotes
from pipeline.data.workbooks.sheet_rows import MAX_ROW_CHARS, CellFault, SheetRow

_MAX_CHARS_SEARCHED = 1 << 22


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a sheet that a header names."""

    header: SheetRow
    rows: Iterator[SheetRow]
    names: tuple[str, ...]
    """Of the columns, from the first; empty for those without a name."""


def open_table(rows: Iterator[SheetRow], reading: Reading, notes: SheetNotes) -> Table | RowError:
    """The table among the rows of a sheet that has content; rows above its header are titles.

    The header is the row that a person named, or the one that `header_index` finds, or else the
    first row with more than one cell, as in text tables.
    """
    first: list[SheetRow] = []
    if reading.header_row is not None:
        rows = iter(rows)
        for row in rows:
            if row.number >= reading.header_row:
                first.append(row)
                break
            notes.add_row_above(" ".join(row.cells.values()))
        if not first or first[0].number != reading.header_row:
            params = {"row": reading.header_row}
            return RowError(code="header.row_missing", line=reading.header_row, params=params)
    num_chars = 0
    for row in rows:
        first.append(row)
        num_chars += sum(map(len, row.cells.values()))
        if len(first) >= NUM_HEADER_ROWS or num_chars > _MAX_CHARS_SEARCHED:
            break
    index = 0
    if reading.header_row is None:
        index = _header_index([dense_cells(row) for row in first], reading)
    for row in first[:index]:
        notes.add_row_above(" ".join(row.cells.values()))
    header = first[index]
    # Columns without a name below which something stands are columns, too.
    num_columns = max((max(row.cells, default=0) + 1 for row in first[index:]), default=0)
    num_columns = max(max(header.cells, default=0) + 1, min(num_columns, MAX_COLUMNS))
    names = tuple(header.cells.get(column, "").strip() for column in range(num_columns))
    notes.num_columns = num_columns
    return Table(header, itertools.chain(first[index + 1 :], rows), names)


def _header_index(rows: Sequence[Sequence[str]], reading: Reading) -> int:
    index = header_index(rows, reading)
    if index is not None:
        return index
    return next((i for i, cells in enumerate(rows) if sum(map(bool, cells)) > 1), 0)


def dense_cells(row: SheetRow) -> list[str]:
    """The cells up to the last one that is not empty, but not all of a row far too wide."""
    width = min(max(row.cells, default=-1) + 1, MAX_COLUMNS + 1)
    return [row.cells.get(column, "") for column in range(width)]


def read_table(table: Table, reading: Reading) -> Iterator[RawRow | RowError]:
    """Each row as its fields, or the reason why it has none; a header without meaning ends it.

    Of a table that the platform gave out, the apostrophes it put before formulas are taken off.
    """
    resolved = resolve_columns(table.names, reading, table.header.number)
    if isinstance(resolved, RowError):
        yield resolved
        return
    names, fields = list(table.names), list(resolved)
    is_ours = is_returned(names)
    last_column = max(table.header.cells)
    last_name = table.header.cells[last_column].strip()
    for row in table.rows:
        cells = row.cells
        if row.fault is not None:
            yield _fault_error(row.number, row.fault)
            continue
        width = max(cells) + 1
        if width > MAX_COLUMNS:
            params = {"found": width, "expected": last_column + 1}
            yield RowError(code="csv.columns", line=row.number, params=params)
            continue
        if cells.get(last_column, "").strip() == last_name and _is_header_again(table, row):
            yield RowError(code="csv.header_again", line=row.number)
            continue
        if len(fields) < width:
            names += [""] * (width - len(names))
            fields += column_fields(names, reading)[len(fields) :]
        texts = [cells.get(column, "") for column in range(len(fields))]
        if is_ours:
            texts = [original_cell(text) for text in texts]
        yield row.number, row_from_cells(fields, texts)


def _is_header_again(table: Table, row: SheetRow) -> bool:
    """Sheets that were put together repeat the header."""
    found = {column: compared_name(text) for column, text in row.cells.items()}
    return found == {column: compared_name(text) for column, text in table.header.cells.items()}


def _fault_error(line: int, fault: CellFault) -> RowError:
    place = f"{get_column_letter(fault.column + 1)}{line}"
    if fault.code == "row.too_long":
        params: dict[str, str | int] = {"limit_mib": MAX_ROW_CHARS >> 20}
        return RowError(code=fault.code, line=line, params=params)
    return RowError(
        code=fault.code,
        line=line,
        column=place,
        params={"cell": place},
        value_excerpt=excerpt(fault.text),
    )

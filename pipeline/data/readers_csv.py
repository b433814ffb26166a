"""Rows of CSV files: comma, semicolon, tab or bar."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.contracts.returned_tables import is_returned, original_cell
from pipeline.contracts.row_errors import RowError, excerpt
from pipeline.data.benchmarks.layouts import TableLayout
from pipeline.data.column_names import compared_name
from pipeline.data.columns import resolve_columns, row_from_cells
from pipeline.data.csv_records import CsvRecord, iter_csv_records
from pipeline.data.encodings import Encoding
from pipeline.data.readers_json import RawRow
from pipeline.data.reading import Reading
from pipeline.data.table_forms import settled_reading

_BLANK = "\ufeff \t"


def read_csv(
    path: Path,
    encoding: Encoding,
    reading: Reading,
    *,
    table: TableLayout | None = None,
) -> Iterator[RawRow | RowError]:
    """One raw row or error for each record that is not blank, in the file's order.

    A record may span lines; its line is the one it begins on. A damaged header ends the file.
    `table` says what the columns are where the file is known to be a benchmark's. Of a table that
    the platform gave out, the apostrophes it put before formulas are taken off.
    """
    fields: Sequence[str] | None = None
    header: Sequence[str] = ()
    is_ours = False
    if table is not None and not table.has_header:
        fields = table.fields
    for line, cells, lines in table_records(path, encoding, reading):
        if isinstance(cells, RowError):
            yield cells
            if fields is None:
                if not cells.is_about_file:
                    yield RowError(code="header.unreadable", line=line)
                return
        elif fields is None:
            resolved = table.fields if table else resolve_columns(cells, reading, line)
            if isinstance(resolved, RowError):
                yield resolved
                return
            fields = resolved
            header = cells
            is_ours = is_returned(cells)
        elif len(cells) != len(fields) and (len(cells) < len(fields) or any(cells[len(fields) :])):
            yield RowError(
                code="csv.columns",
                line=line,
                params={"found": len(cells), "expected": len(fields)},
                value_excerpt=excerpt("".join(lines).rstrip("\r\n")),
            )
        elif (
            header
            and cells[-1].strip(_BLANK) == header[-1].strip(_BLANK)
            and _is_same(cells, header)
        ):
            text = excerpt("".join(lines).rstrip("\r\n"))
            yield RowError(code="csv.header_again", line=line, value_excerpt=text)
        else:
            if is_ours:
                cells = [original_cell(cell) for cell in cells]
            yield line, row_from_cells(fields, cells)


def _is_same(cells: Sequence[str], header: Sequence[str]) -> bool:
    """Files that were put together repeat the header, and with it the byte order mark."""
    return list(map(compared_name, cells)) == list(map(compared_name, header))


def table_records(
    path: Path, encoding: Encoding, reading: Reading, *, shows_damage: bool = False
) -> Iterator[CsvRecord]:
    """The header's record and those below it; without a header, those from the first row on.

    Rows above the header are titles, and none of the table. A file that ends above the header row
    that a person named yields one error. `shows_damage` is for `iter_lines`.
    """
    reading = settled_reading(path, encoding, reading)
    first = reading.header_row or 1
    is_empty = True
    for record in iter_csv_records(path, encoding, reading.delimiter, shows_damage=shows_damage):
        if record[0] >= first:
            is_empty = False
            yield record
    if is_empty and first > 1:
        params = {"row": first}
        yield first, RowError(code="header.row_missing", line=first, params=params), ()

"""The rejected rows as the person wrote them, so that they can be repaired and uploaded again.

A second reading of the file that follows the first: errors come in the file's order, so it only
ever goes forward and holds one row.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.contracts.returned_tables import is_returned, original_cell
from pipeline.contracts.row_errors import RowError
from pipeline.data.benchmarks.layouts import TableLayout
from pipeline.data.column_aliases import ALIASES
from pipeline.data.column_names import shown_name
from pipeline.data.columns import IGNORE, MAX_COLUMNS, column_fields
from pipeline.data.encodings import Encoding
from pipeline.data.field_names import named_fields
from pipeline.data.formats import FileFormat
from pipeline.data.json_streams import read_json_array
from pipeline.data.json_values import RawRow
from pipeline.data.readers_csv import table_records
from pipeline.data.readers_json import read_json_lines
from pipeline.data.readers_parquet import foreign_columns, read_parquet
from pipeline.data.readers_xlsx import SheetsRead, iter_sheet_rows
from pipeline.data.reading import Reading
from pipeline.data.row_schemas import ROW_SCHEMAS
from pipeline.data.text_lines import iter_lines
from pipeline.data.workbooks.tables import dense_cells

NUM_ROWS_FOR_KEYS = 100
_LAYOUT_KEYS = {"messages", "conversations", "history", *"ABCDEFGH"}


@dataclass(frozen=True, kw_only=True, slots=True)
class OriginalRow:
    """One row as written: split into the file's columns, or its text where it does not fit them."""

    cells: tuple[str, ...] | None = None
    text: str = ""
    """As it stands in the file; empty for a workbook."""
    sheet: str = ""
    """Of a workbook of which several are read."""


class OriginalRows:
    """Rows of a file by the line they begin on, to be asked for in ascending order."""

    def __init__(
        self,
        path: Path,
        *,
        file_format: FileFormat | None,
        encoding: Encoding,
        reading: Reading,
        table: TableLayout | None = None,
        sheets: SheetsRead | None = None,
    ) -> None:
        self._sheets = sheets
        self._is_table = file_format in {"csv", "xlsx"}
        self._bare = table if table is not None and not table.has_header else None
        self._wanted = 0
        """Rows that begin on earlier lines are passed over."""
        self._rows = _rows(path, file_format, encoding, reading, wanted=lambda: self._wanted)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Header of a table; fields of one without a header; empty for other formats."""
        if not self._is_table:
            return ()
        if self._bare is not None:
            return self._bare.fields
        _, header = next(self._rows, (0, OriginalRow()))
        return tuple(shown_name(name) for name in header.cells or ())

    def at(self, line: int, sheet: str = "") -> OriginalRow:
        """The row that begins on `line`; an empty one where the file cannot be split that far."""
        _ = self.columns  # the header is not one of the rows
        read = self._sheets
        if read is not None and read.is_at(line, sheet):
            return self._fitted(_sheet_row(dense_cells(read.row), fits=read.fits))
        self._wanted = line
        for number, row in self._rows:
            if row.sheet != sheet:
                continue
            if number == line:
                return self._fitted(row)
            if number > line:
                self._rows = itertools.chain([(number, row)], self._rows)
                break
        return OriginalRow()

    def rest(self) -> Iterator[OriginalRow]:
        """The rows that nobody asked for yet, in the file's order."""
        _ = self.columns  # the header is not one of the rows
        self._wanted = 0
        for _number, row in self._rows:
            yield row

    def _fitted(self, row: OriginalRow) -> OriginalRow:
        if row.cells is None:
            return row
        extra = row.cells[len(self.columns) :]
        if any(extra):
            return OriginalRow(text=row.text or "\t".join(row.cells))
        padding = ("",) * (len(self.columns) - len(row.cells))
        cells = (*row.cells[: len(self.columns)], *padding)
        if is_returned(self.columns):
            cells = tuple(map(original_cell, cells))
        return OriginalRow(cells=cells, text=row.text)


def source_columns(
    path: Path,
    *,
    file_format: FileFormat | None,
    encoding: Encoding,
    reading: Reading,
    table: TableLayout | None = None,
) -> list[tuple[str, str]]:
    """(name, field) of the columns of a table, or of the top-level keys of the first rows."""
    if file_format in {"csv", "xlsx"}:
        rows = OriginalRows(
            path, file_format=file_format, encoding=encoding, reading=reading, table=table
        )
        if table is not None:
            return list(zip(rows.columns, table.fields, strict=True))
        names = rows.columns[:MAX_COLUMNS]  # with more of them the file is refused
        meanings = zip(names, column_fields(names, reading), strict=True)
        return [(name, field) for name, field in meanings if name or field != IGNORE]
    keys = _keys(path, file_format, encoding)
    kind = reading.kind
    known = {*ROW_SCHEMAS[kind].names, *ALIASES[kind].values(), *_LAYOUT_KEYS}
    said = [reading.columns.get(key, key) for key in keys]
    other_names = named_fields(said, kind)
    fields = [other_names.get(field, field) for field in said]
    return [
        (key, field if field in known or field != key else f"meta.{key}")
        for key, field in zip(keys, fields, strict=True)
    ]


def _keys(path: Path, file_format: FileFormat | None, encoding: Encoding) -> dict[str, None]:
    """The top-level keys of the first rows, in the order in which they come."""
    if file_format == "parquet":
        return dict.fromkeys(foreign_columns(path)[:MAX_COLUMNS])
    if file_format not in {"json_array", "json_lines"}:
        return {}
    read = read_json_array if file_format == "json_array" else read_json_lines
    keys: dict[str, None] = {}
    for item in itertools.islice(read(path, encoding), NUM_ROWS_FOR_KEYS):
        if not isinstance(item, RowError):
            keys.update(dict.fromkeys(itertools.islice(item[1], MAX_COLUMNS)))
        if len(keys) >= MAX_COLUMNS:
            break
    return keys


def _rows(
    path: Path,
    file_format: FileFormat | None,
    encoding: Encoding,
    reading: Reading,
    *,
    wanted: Callable[[], int],
) -> Iterator[tuple[int, OriginalRow]]:
    """Line and row; of a text file only those from the line on that is `wanted` at the time."""
    match file_format:
        case "csv":
            for line, cells, lines in table_records(path, encoding, reading, shows_damage=True):
                if line < wanted():
                    continue
                text = "".join(lines).rstrip("\r\n")
                if isinstance(cells, RowError):
                    yield line, OriginalRow(text=text)
                else:
                    yield line, OriginalRow(cells=tuple(cells), text=text)
        case "xlsx":
            yield from _sheet_rows(path, reading)
        case "json_lines":
            for number, content in iter_lines(path, encoding, shows_damage=True):
                if number >= wanted() and not isinstance(content, RowError):
                    yield number, OriginalRow(text=content.rstrip("\r\n"))
        case "json_array" | "parquet":
            is_array = file_format == "json_array"
            items = read_json_array(path, encoding) if is_array else _foreign(path, reading)
            for item in items:
                if not isinstance(item, RowError):
                    number, row = item
                    yield number, OriginalRow(text=json.dumps(row, ensure_ascii=False))
        case _:
            return


def _sheet_rows(path: Path, reading: Reading) -> Iterator[tuple[int, OriginalRow]]:
    first_names: list[str] | None = None
    fits = True
    for row in iter_sheet_rows(path, reading):
        if row.is_header:
            first_names = first_names or row.cells
            fits = row.cells == first_names
        yield row.number, _sheet_row(row.cells, fits=fits, sheet=row.sheet)


def _sheet_row(cells: Sequence[str], *, fits: bool, sheet: str = "") -> OriginalRow:
    """Rows of a sheet with another header than the first one do not fit its columns: text."""
    if fits:
        return OriginalRow(cells=tuple(cells), sheet=sheet)
    return OriginalRow(text="\t".join(cells), sheet=sheet)


def _foreign(path: Path, reading: Reading) -> Iterator[RawRow | RowError]:
    return read_parquet(path, reading.columns) if foreign_columns(path) else iter(())

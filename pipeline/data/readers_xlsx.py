"""Rows of XLSX workbooks: the texts that a person saw, of archives that are safe to unpack.

Formulas are never evaluated: the value the spreadsheet program stored is used, and a formula
without one is an error of its row. Numbers and dates are stored as their formats show them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from pipeline.contracts.row_errors import RowError
from pipeline.data.readers_json import RawRow
from pipeline.data.reading import Reading
from pipeline.data.workbooks.book import Workbook
from pipeline.data.workbooks.choice import chosen_sheets, unread_sheets
from pipeline.data.workbooks.contents import Sheet
from pipeline.data.workbooks.notes import SheetNote, SheetNotes
from pipeline.data.workbooks.opening import WorkbookRefusedError, opened_workbook
from pipeline.data.workbooks.sheet_rows import SheetRow
from pipeline.data.workbooks.tables import Table, dense_cells, open_table, read_table


class WrittenRow(NamedTuple):
    """A row as the workbook shows it."""

    sheet: str
    """Empty where only one sheet is read."""
    number: int
    cells: list[str]
    is_header: bool


@dataclass(slots=True)
class SheetsRead:
    """What a reading of a workbook tells beside its rows."""

    notes: list[SheetNote] = field(default_factory=list)
    """What a person should know of the sheets, once their rows have been read."""
    sheet: str = ""
    """Of the last row, where several sheets are read."""
    row: SheetRow = field(default_factory=lambda: SheetRow(0))
    """The last row; 0 before the first."""
    fits: bool = True
    """Its sheet has the columns of the first sheet."""
    first_names: tuple[str, ...] | None = None

    def is_at(self, line: int, sheet: str) -> bool:
        """Whether this is the last row."""
        return (self.row.number, self.sheet) == (line, sheet)

    def begin(self, of_several: str, table: Table) -> None:
        """The rows of a table follow."""
        self.sheet = of_several
        self.first_names = self.first_names or table.names
        self.fits = table.names == self.first_names

    def taken(self, table: Table) -> Table:
        """The table, each of whose rows is the last row when it is given out."""
        return replace(table, rows=self._watched(table.rows))

    def _watched(self, rows: Iterator[SheetRow]) -> Iterator[SheetRow]:
        for row in rows:
            self.row = row
            yield row


def read_xlsx(
    path: Path, reading: Reading, read: SheetsRead | None = None
) -> Iterator[RawRow | RowError]:
    """One raw row or error for each row below the header that is not empty, in its order.

    Without a sheet named, the one visible sheet that has content; of several, each row has its
    sheet in `meta.sheet`, and errors have it as their file.

    Args:
        path: the workbook.
        reading: which sheets, which row is the header, what columns mean.
        read: gets what is known of the rows that were read.
    """
    read = read or SheetsRead()
    try:
        with opened_workbook(path) as book:
            sheets = chosen_sheets(book, reading.sheets, path.stat().st_size)
            if isinstance(sheets, RowError):
                yield sheets
                return
            for sheet in sheets:
                of_several = sheet.name if len(reading.sheets) > 1 else ""
                yield from _read_sheet(book, sheet, reading, of_several, read)
            read.notes.extend(unread_sheets(book, sheets))
    except WorkbookRefusedError as exc:
        yield exc.error


def iter_sheet_rows(path: Path, reading: Reading) -> Iterator[WrittenRow]:
    """The header of each sheet that is read, and the rows below it; formulas without a value as
    they are written.

    For showing rows that `read_xlsx` rejected; it ends where that ends with an error of the file.
    """
    try:
        with opened_workbook(path) as book:
            sheets = chosen_sheets(book, reading.sheets, path.stat().st_size)
            if isinstance(sheets, RowError):
                return
            for sheet in sheets:
                of_several = sheet.name if len(reading.sheets) > 1 else ""
                notes = SheetNotes(sheet.name)
                table = open_table(book.rows(sheet, notes), reading, notes)
                if isinstance(table, RowError):
                    continue
                yield WrittenRow(of_several, table.header.number, list(table.names), True)
                for row in table.rows:
                    yield WrittenRow(of_several, row.number, dense_cells(row), False)
    except WorkbookRefusedError:
        return


def _read_sheet(
    book: Workbook, sheet: Sheet, reading: Reading, of_several: str, read: SheetsRead
) -> Iterator[RawRow | RowError]:
    notes = SheetNotes(sheet.name)
    table = open_table(book.rows(sheet, notes), reading, notes)
    if isinstance(table, RowError):
        items: Iterator[RawRow | RowError] = iter([table])
    else:
        read.begin(of_several, table)
        items = read_table(read.taken(table), reading)
    for item in items:
        if not of_several:
            yield item
        elif isinstance(item, RowError):
            yield replace(item, file=of_several)
        else:
            number, row = item
            row["meta"] = {**row.get("meta", {}), "sheet": of_several}
            row.setdefault("id", f"{of_several}/line-{number}")
            yield number, row
    read.notes.extend(notes)

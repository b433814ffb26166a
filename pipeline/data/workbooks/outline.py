"""What a workbook holds and how it would be read, from the first rows of its sheets."""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.contracts.row_errors import RowError
from pipeline.data.reading import Reading
from pipeline.data.workbooks.choice import chosen_sheets, unread_sheets
from pipeline.data.workbooks.contents import Sheet
from pipeline.data.workbooks.notes import SheetNote, SheetNotes
from pipeline.data.workbooks.opening import WorkbookRefusedError, opened_workbook
from pipeline.data.workbooks.tables import open_table, read_table

MAX_ROWS = 1_000
"""Of each sheet that is read; what comes after them is in the report of the import."""


@dataclass(kw_only=True, slots=True)
class WorkbookOutline:
    """As far as the workbook could be read; why not farther is an error of its rows."""

    sheets: tuple[Sheet, ...] = ()
    read: tuple[Sheet, ...] = ()
    header_row: int | None = None
    """Of the first sheet that is read."""
    notes: tuple[SheetNote, ...] = ()


def workbook_outline(path: Path, reading: Reading) -> WorkbookOutline:
    """Sheets, header and notes of the workbook at `path`, read as `reading` says."""
    outline = WorkbookOutline()
    with contextlib.suppress(WorkbookRefusedError), opened_workbook(path) as book:
        outline.sheets = book.sheets
        chosen = chosen_sheets(book, reading.sheets, path.stat().st_size)
        if isinstance(chosen, RowError):
            return outline
        outline.read = tuple(chosen)
        outline.notes = tuple(unread_sheets(book, chosen))
        for sheet in chosen:
            notes = SheetNotes(sheet.name)
            table = open_table(book.rows(sheet, notes), reading, notes)
            if isinstance(table, RowError):
                continue
            outline.header_row = outline.header_row or table.header.number
            _exhaust(itertools.islice(read_table(table, reading), MAX_ROWS))
            outline.notes = (*outline.notes, *notes)
    return outline


def _exhaust(rows: Iterator[object]) -> None:
    for _row in rows:
        pass

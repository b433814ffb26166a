"""Which sheets of a workbook are read."""

from collections.abc import Iterator, Sequence

from pipeline.contracts.row_errors import RowError, excerpt
from pipeline.data.workbooks.book import Workbook
from pipeline.data.workbooks.contents import Sheet
from pipeline.data.workbooks.notes import SheetNote


def chosen_sheets(book: Workbook, names: Sequence[str], num_bytes: int) -> list[Sheet] | RowError:
    """The sheets that are named, in that order; else the only visible one with content.

    A hidden sheet is read only when it is named.
    """
    if names:
        by_name = {sheet.name: sheet for sheet in book.sheets}
        for name in names:
            if name not in by_name:
                params = {"sheet": name, "sheets": _listed(book.sheets)}
                return RowError(code="file.sheet_missing", params=params)
        return [by_name[name] for name in dict.fromkeys(names)]
    filled = [sheet for sheet in book.sheets if book.has_content(sheet)]
    visible = [sheet for sheet in filled if sheet.is_visible]
    if len(visible) > 1:
        return RowError(code="file.sheet_choice", params={"sheets": _listed(visible)})
    if not visible and filled:
        return RowError(code="file.sheet_hidden", params={"sheets": _listed(filled)})
    if not visible:
        return RowError(code="file.empty", params={"bytes": num_bytes})
    return visible


def unread_sheets(book: Workbook, read: Sequence[Sheet]) -> Iterator[SheetNote]:
    """Notes on the sheets that are not read."""
    unread = [sheet for sheet in book.sheets if sheet not in read]
    hidden = [sheet for sheet in unread if not sheet.is_visible]
    others = [sheet for sheet in unread if sheet.is_visible]
    for code, sheets in (("workbook.hidden_sheets", hidden), ("workbook.other_sheets", others)):
        if sheets:
            yield SheetNote(code, {"count": len(sheets), "sheets": excerpt(_listed(sheets))})


def _listed(sheets: Sequence[Sheet]) -> str:
    return ", ".join(sheet.name for sheet in sheets)[:400]

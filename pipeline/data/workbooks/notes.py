"""What a person should know of a sheet before its rows are stored."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from openpyxl.utils import get_column_letter

from pipeline.contracts.row_errors import excerpt

MAX_COLUMNS_NAMED = 50


class SheetNote(NamedTuple):
    """A code of `contracts.workbook_notes`, with what its words are filled with."""

    code: str
    params: dict[str, str | int]


class SheetNotes:
    """What was found while the rows of a sheet were read; one note for each column and kind."""

    def __init__(self, sheet: str) -> None:
        self._sheet = sheet
        self._shown: dict[int, tuple[str, str]] = {}
        self._lost: dict[int, tuple[int, str]] = {}
        self._unknown: dict[int, tuple[int, str, str]] = {}
        self._num_hidden_rows = 0
        self._num_filled = 0
        self._titles: list[str] = []
        self.hidden_columns: set[int] = set()
        """From 0; also those beyond the table."""
        self.num_columns = 0
        """Of the table."""

    def add_shown(self, column: int, stored: str, shown: str) -> None:
        """A number is stored as its format shows it."""
        if column not in self._shown and stored != shown and len(self._shown) < MAX_COLUMNS_NAMED:
            self._shown[column] = (stored, shown)

    def add_lost_digits(self, column: int, shown: str) -> None:
        """A number was too long for the program that wrote it."""
        count, example = self._lost.get(column, (0, shown))
        if column in self._lost or len(self._lost) < MAX_COLUMNS_NAMED:
            self._lost[column] = (count + 1, example)

    def add_unknown_format(self, column: int, code: str, shown: str) -> None:
        """A number is stored without its format, because that is not understood."""
        count, first_code, example = self._unknown.get(column, (0, code, shown))
        if column in self._unknown or len(self._unknown) < MAX_COLUMNS_NAMED:
            self._unknown[column] = (count + 1, first_code, example)

    def add_hidden_row(self) -> None:
        self._num_hidden_rows += 1

    def add_filled(self, count: int) -> None:
        """Cells got the text of the merged cell they are part of."""
        self._num_filled += count

    def add_row_above(self, text: str) -> None:
        """A row above the header is a title, and none of the table."""
        self._titles.append(text)

    def __iter__(self) -> Iterator[SheetNote]:
        yield from (self._note(code, params) for code, params in self._found())

    def _note(self, code: str, params: Mapping[str, str | int]) -> SheetNote:
        return SheetNote(code, {"sheet": excerpt(self._sheet), **params})

    def _found(self) -> Iterator[tuple[str, dict[str, str | int]]]:
        if self._titles:
            yield "sheet.rows_above", {"count": len(self._titles), "text": excerpt(self._titles[0])}
        for column, (count, text) in sorted(self._lost.items()):
            letter = _letter(column)
            yield "sheet.lost_digits", {"column": letter, "count": count, "value": excerpt(text)}
        for column, (count, code, text) in sorted(self._unknown.items()):
            place: dict[str, str | int] = {"column": _letter(column), "count": count}
            yield "sheet.unknown_format", place | {"format": excerpt(code), "value": excerpt(text)}
        for column, (stored, shown) in sorted(self._shown.items()):
            code = "sheet.as_shown" if shown else "sheet.shown_as_nothing"
            shown, stored = excerpt(shown), excerpt(stored)
            yield code, {"column": _letter(column), "stored": stored, "shown": shown}
        if self._num_filled:
            yield "sheet.merged_cells", {"count": self._num_filled}
        if self._num_hidden_rows:
            yield "sheet.hidden_rows", {"count": self._num_hidden_rows}
        hidden = sorted(column for column in self.hidden_columns if column < self.num_columns)
        if hidden:
            letters = ", ".join(map(_letter, hidden[:MAX_COLUMNS_NAMED]))
            yield "sheet.hidden_columns", {"columns": letters}


def _letter(column: int) -> str:
    return str(get_column_letter(column + 1))

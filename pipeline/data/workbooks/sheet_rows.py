"""Rows of a worksheet, as a stream: memory does not grow with the sheet."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO

from pipeline.data.workbooks.cell_values import CellValues
from pipeline.data.workbooks.merged_cells import MergedFill, column_index
from pipeline.data.workbooks.notes import SheetNotes
from pipeline.data.workbooks.parts import (
    MAX_DEPTH,
    DamagedPartError,
    elements,
    fed,
    new_parser,
)

MAX_SHEET_ROWS = 1_048_576
MAX_CELLS = 3_000_000
MAX_COLUMNS = 16_384
MAX_ROW_CHARS = 16 << 20
_ELEMENTS = elements("row", "c", "v", "f", "t", "rPh", "col")
_TRUE = frozenset({"1", "true"})


@dataclass(slots=True)
class CellFault:
    """Why a row cannot be stored."""

    code: str
    """`xlsx.formula`: without a stored value; `xlsx.error_value`; `row.too_long`."""
    column: int
    text: str


@dataclass(slots=True)
class SheetRow:
    """A row with content."""

    number: int
    """From 1."""
    cells: dict[int, str] = field(default_factory=dict)
    """What is shown, by column from 0; a formula without a value as it is written."""
    fault: CellFault | None = None


class SheetLimitError(Exception):
    """The sheet is larger than what is read; carries the error's code and the limit."""

    def __init__(self, code: str, limit: int) -> None:
        super().__init__(code)
        self.code = code
        self.limit = limit


def read_rows(
    file: IO[bytes], values: CellValues, merged: MergedFill, notes: SheetNotes
) -> Iterator[SheetRow]:
    """The rows of the sheet that show something, in order.

    Raises:
        DamagedPartError, UnsafePartError: see `parts.fed`; or cells are out of order.
        SheetLimitError: rows beyond 1,048,576, or more than 3,000,000 cells.
    """
    handler = _SheetHandler(values, merged, notes)
    for _ in fed(file, handler.parser):
        yield from handler.rows
        handler.rows.clear()
        handler.bound_text()
        if handler.limit is not None:
            raise handler.limit


class _SheetHandler:
    """What the parser calls."""

    def __init__(self, values: CellValues, merged: MergedFill, notes: SheetNotes) -> None:
        self.rows: list[SheetRow] = []
        self.limit: SheetLimitError | None = None
        self.parser = new_parser()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self._values = values
        self._merged = merged
        self._notes = notes
        self._columns: dict[str, int] = {}
        self._row: SheetRow | None = None
        self._row_digits = ""
        self._number = 0
        self._depth = 0
        self._column = -1
        self._num_cells = 0
        self._num_columns_said = 0
        self._num_chars = 0
        self._is_reading = False
        self._is_hidden = False
        self._attributes: Mapping[str, str] = {}
        self._value: list[str] | None = None
        self._formula: list[str] | None = None

    def bound_text(self) -> None:
        """Let go of a text that is too long for any row, while the parser is still in it."""
        for pieces in (self._value, self._formula):
            if pieces is not None and sum(map(len, pieces)) > MAX_ROW_CHARS:
                pieces.clear()
                self._num_chars = MAX_ROW_CHARS

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise DamagedPartError
        if self.limit is not None:
            return
        element = _ELEMENTS.get(name)
        if element == "c":
            self._start_cell(attributes)
        elif element == "v" or (element == "t" and not self._is_reading):
            if self._value is None:
                self._value = []
            self.parser.CharacterDataHandler = self._value.append
        elif element == "f":
            self._formula = []
            self.parser.CharacterDataHandler = self._formula.append
        elif element == "row":
            self._start_row(attributes)
        elif element == "rPh":
            self._is_reading = True
        elif element == "col":
            self._num_columns_said += 1
            if self._num_columns_said > MAX_COLUMNS:
                raise DamagedPartError
            self._hide_columns(attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self.limit is not None:
            return
        element = _ELEMENTS.get(name)
        if element == "c":
            self._end_cell()
        elif element in {"v", "t", "f"}:
            self.parser.CharacterDataHandler = None
        elif element == "row":
            self._end_row()
        elif element == "rPh":
            self._is_reading = False

    def _start_row(self, attributes: Mapping[str, str]) -> None:
        digits = attributes.get("r", "")
        number = int(digits) if digits.isdecimal() and len(digits) < 12 else self._number + 1
        if self._row is not None or number <= self._number:
            raise DamagedPartError
        if number > MAX_SHEET_ROWS:
            self.limit = SheetLimitError("file.too_many_rows", MAX_SHEET_ROWS)
        self._number = number
        self._row_digits = str(number)
        self._row = SheetRow(number)
        self._column = -1
        self._num_chars = 0
        self._is_hidden = attributes.get("hidden") in _TRUE

    def _end_row(self) -> None:
        row = self._row
        self._row = None
        if row is None:
            raise DamagedPartError
        if row.cells or row.fault is not None:
            self._notes.add_filled(self._merged.fill(row.number, row.cells))
            self.rows.append(row)
            if self._is_hidden:
                self._notes.add_hidden_row()

    def _start_cell(self, attributes: Mapping[str, str]) -> None:
        self._attributes = attributes
        self._value = self._formula = None
        self._num_cells += 1
        if self._num_cells > MAX_CELLS:
            self.limit = SheetLimitError("file.too_many_cells", MAX_CELLS)
        reference = attributes.get("r")
        column = self._column + 1
        if reference is not None:
            letters = reference[: -len(self._row_digits)]
            if not reference.endswith(self._row_digits):
                raise DamagedPartError
            found = self._columns.get(letters)
            if found is None:
                found = self._columns[letters] = _column_of(letters)
            if found < column:
                raise DamagedPartError
            column = found
        if column >= MAX_COLUMNS:
            raise DamagedPartError
        self._column = column

    def _end_cell(self) -> None:
        row, value, formula = self._row, self._value, self._formula
        if row is None:
            raise DamagedPartError
        kind = self._attributes.get("t")
        stored = "" if value is None else value[0] if len(value) == 1 else "".join(value)
        if formula is not None and not stored and (value is None or kind != "str"):
            text = "=" + "".join(formula)
            row.fault = row.fault or CellFault("xlsx.formula", self._column, text)
        elif not stored:
            return
        else:
            style = self._attributes.get("s")
            text = self._values.text(kind, style, stored, self._column, self._notes)
            if kind == "e":
                row.fault = row.fault or CellFault("xlsx.error_value", self._column, text)
        self._num_chars += len(text)
        if self._num_chars > MAX_ROW_CHARS:
            row.cells.clear()
            row.fault = CellFault("row.too_long", self._column, "")
        elif text:
            row.cells[self._column] = text

    def _hide_columns(self, attributes: Mapping[str, str]) -> None:
        first, last = attributes.get("min", ""), attributes.get("max", "")
        if attributes.get("hidden") in _TRUE and first.isdecimal() and last.isdecimal():
            columns = range(int(first) - 1, min(int(last), MAX_COLUMNS))
            self._notes.hidden_columns.update(columns)


def _column_of(letters: str) -> int:
    if not (letters.isalpha() and letters.isascii() and letters.isupper() and len(letters) <= 3):
        raise DamagedPartError
    return column_index(letters)

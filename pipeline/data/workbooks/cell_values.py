"""What a cell shows: its stored value, as its type and style say."""

import datetime
import math
from collections.abc import Mapping

from pipeline.data.number_formats.general import general_text
from pipeline.data.number_formats.tokens import UnsupportedFormatError
from pipeline.data.workbooks.notes import SheetNotes
from pipeline.data.workbooks.parts import DamagedPartError
from pipeline.data.workbooks.shared_strings import SharedStrings, unescaped
from pipeline.data.workbooks.styles import CellStyle

EXACT_BELOW = 10**15
"""Spreadsheet programs keep 15 digits of a number; of a larger whole one the rest are lost."""
_MAX_EXACT_CHARS = 15
_MAX_KNOWN_TEXTS = 20_000
_BOOLEANS = {"1": "TRUE", "0": "FALSE", "true": "TRUE", "false": "FALSE"}
_FIRST_DAY = datetime.datetime(1899, 12, 30)  # noqa: DTZ001  # spreadsheets know no time zones
_FIRST_DAY_OF_1904 = datetime.datetime(1904, 1, 1)  # noqa: DTZ001


class CellValues:
    """Texts of the cells of one workbook."""

    def __init__(
        self, strings: SharedStrings, styles: Mapping[str | None, CellStyle], *, is_1904: bool
    ) -> None:
        self._strings = strings
        self._styles = styles
        self._first_day = _FIRST_DAY_OF_1904 if is_1904 else _FIRST_DAY

    def text(
        self, kind: str | None, style_name: str | None, stored: str, column: int, notes: SheetNotes
    ) -> str:
        """What the cell in the column (from 0) shows; an error value as it is written.

        Raises:
            DamagedPartError: it names a text that the workbook does not have.
        """
        style = self._styles.get(style_name)
        if style is None:
            raise DamagedPartError
        match kind:
            case None | "n":
                return self._number(style, stored, column, notes)
            case "s":
                if not stored.isdecimal():
                    raise DamagedPartError
                return _styled(style, self._strings[int(stored)], column, notes)
            case "b":
                return _BOOLEANS.get(stored, stored)
            case "d":
                return self._date(style, stored, column, notes)
            case "e":
                return stored
            case _:
                return _styled(style, unescaped(stored), column, notes)

    def _number(self, style: CellStyle, stored: str, column: int, notes: SheetNotes) -> str:
        if style.is_general and len(stored) <= _MAX_EXACT_CHARS and stored.isdecimal():
            return stored.lstrip("0") or "0"
        known = style.shown.get(stored)
        if known is None:
            number = _finite(stored)
            if number is None:
                # Not a number at all: some programs write texts without saying so.
                return unescaped(stored)
            known = _shown(style, number)
            if len(style.shown) < _MAX_KNOWN_TEXTS:
                style.shown[stored] = known
        shown, has_format = known
        if len(stored) > _MAX_EXACT_CHARS and abs(float(stored)) >= EXACT_BELOW:
            notes.add_lost_digits(column, shown)
        if not has_format:
            notes.add_unknown_format(column, style.code, shown)
        elif not style.is_general:
            notes.add_shown(column, stored, shown)
        return shown

    def _date(self, style: CellStyle, stored: str, column: int, notes: SheetNotes) -> str:
        """A date in ISO 8601, as strict workbooks may hold it, is shown like its number."""
        try:
            moment = datetime.datetime.fromisoformat(stored).replace(tzinfo=None)
        except ValueError:
            return stored
        days = (moment - self._first_day) / datetime.timedelta(days=1)
        return self._number(style, repr(days), column, notes)


def _shown(style: CellStyle, number: float) -> tuple[str, bool]:
    """What is shown, and whether it is what the format says."""
    if style.format is not None:
        try:
            return style.format.of_number(number), True
        except UnsupportedFormatError:
            pass
    return general_text(number), False


def _styled(style: CellStyle, text: str, column: int, notes: SheetNotes) -> str:
    if style.is_general or style.format is None:
        return text
    shown = style.format.of_text(text)
    if shown != text:
        notes.add_shown(column, text, shown)
    return shown


def _finite(stored: str) -> float | None:
    try:
        number = float(stored)
    except ValueError:
        return None
    # Python reads `1_000`, `nan` and digits of other scripts, too; spreadsheets do not write them.
    return number if math.isfinite(number) and stored.isascii() and "_" not in stored else None

"""Serial numbers as dates and times: days since 1899-12-31, with the 1900-02-29 that never was."""

import datetime
from typing import NamedTuple

from pipeline.data.number_formats.chinese_numerals import counted_date, digit_by_digit
from pipeline.data.number_formats.date_names import half_day_name, month_name, weekday_name
from pipeline.data.number_formats.date_pieces import Piece, date_pieces
from pipeline.data.number_formats.sections import Section
from pipeline.data.number_formats.tokens import UnsupportedFormatError

MAX_SERIAL = 2_958_465
"""9999-12-31, the last day a spreadsheet program shows."""
DAYS_TO_1904 = 1462
_LEAP_DAY_OF_1900 = 60
_SECONDS_A_DAY = 86_400
_UNIT_SECONDS = {"h": 3600, "m": 60, "s": 1}
_NOON = 12
_ROUNDING_ERROR = 1e-9


class _Moment(NamedTuple):
    year: int
    month: int
    day: int
    weekday: int
    """0 is Sunday, counted as Excel does before March 1900."""
    seconds: int
    """Whole seconds since day 0."""
    decimals: str
    """Digits of the part of a second that is shown."""

    @property
    def hour(self) -> int:
        return self.seconds % _SECONDS_A_DAY // 3600


class DateSection:
    """A section that shows a serial number as a date, a time or both."""

    def __init__(self, section: Section, *, is_1904: bool) -> None:
        self._section = section
        self._pieces = date_pieces(section.tokens)
        kinds = {piece.kind for piece in self._pieces}
        # Elapsed time is counted from nothing, not from a day.
        self._first_day = DAYS_TO_1904 if is_1904 and "elapsed" not in kinds else 0
        self._has_time = not kinds <= {"calendar", "literal"}
        self._is_half_day = "half_day" in kinds
        widths = (len(piece.text) for piece in self._pieces if piece.kind == "decimals")
        self._num_decimals = max(widths, default=0)

    def text(self, serial: float) -> str:
        """The moment as the section shows it, rounded to what it shows of a second.

        Raises:
            UnsupportedFormatError: no such day (programs show `####`), or pieces that are not
                known: eras, Buddhist years, names in another language than Chinese and English.
        """
        moment = self._moment(serial + self._first_day)
        return "".join([self._text(piece, moment) for piece in self._pieces])

    def _moment(self, serial: float) -> _Moment:
        if not 0 <= serial < MAX_SERIAL + 1:
            raise UnsupportedFormatError
        decimals = ""
        if self._has_time:
            units = round(serial * _SECONDS_A_DAY * 10**self._num_decimals)
            total, fraction = divmod(units, 10**self._num_decimals)
            if self._num_decimals:
                decimals = f"{fraction:0{self._num_decimals}}"
        else:
            # A day is not rounded up to the next one.
            total = int(serial + _ROUNDING_ERROR) * _SECONDS_A_DAY
        days = total // _SECONDS_A_DAY
        return _Moment(*_civil(days), (days + 6) % 7, total, decimals)

    def _text(self, piece: Piece, moment: _Moment) -> str:
        kind, letters = piece
        if kind == "calendar":
            return _calendar(self._section, letters, moment)
        if kind == "clock":
            return self._clock(letters, moment)
        if kind == "elapsed":
            return f"{moment.seconds // _UNIT_SECONDS[letters[0]]:0{len(letters)}}"
        if kind == "half_day":
            is_afternoon = moment.hour >= _NOON
            return half_day_name(letters, self._section.language, is_afternoon=is_afternoon)
        return f".{moment.decimals[: len(letters)]}" if kind == "decimals" else letters

    def _clock(self, letters: str, moment: _Moment) -> str:
        number = moment.hour
        if letters[0] != "h":
            number = moment.seconds // _UNIT_SECONDS[letters[0]] % 60
        elif self._is_half_day:
            number = number % _NOON or _NOON
        return _numeral(self._section, number, len(letters))


def _civil(days: int) -> tuple[int, int, int]:
    if days == _LEAP_DAY_OF_1900:
        return 1900, 2, 29
    if days == 0:
        return 1900, 1, 0
    origin = datetime.date(1899, 12, 31 if days < _LEAP_DAY_OF_1900 else 30)
    try:
        date = origin + datetime.timedelta(days=days)
    except OverflowError:
        raise UnsupportedFormatError from None
    return date.year, date.month, date.day


def _calendar(section: Section, letters: str, moment: _Moment) -> str:
    width = len(letters)
    match letters[0]:
        case "y" | "e":
            year = f"{moment.year % 100:02}" if letters in {"y", "yy"} else f"{moment.year:04}"
            return digit_by_digit(year, section.numerals) if section.numerals else year
        case "m" if width <= 2:
            return _numeral(section, moment.month, width)
        case "m":
            return month_name(moment.month, width, section.language)
        case "d" if width <= 2:
            return _numeral(section, moment.day, width)
        case "d" | "a":
            return weekday_name(moment.weekday, letters, section.language)
        case _:
            raise UnsupportedFormatError(letters)


def _numeral(section: Section, number: int, width: int) -> str:
    if not section.numerals:
        return f"{number:0{min(width, 2)}}"
    text = counted_date(number, section.numerals)
    is_padded = width > 1 and number < 10
    return digit_by_digit("0", section.numerals) + text if is_padded else text

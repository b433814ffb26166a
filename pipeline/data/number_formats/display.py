"""One format code, ready to show numbers and texts."""

from collections.abc import Callable

from pipeline.data.number_formats.chinese_numerals import counted, digit_by_digit
from pipeline.data.number_formats.dates import DateSection
from pipeline.data.number_formats.digits import DigitSection
from pipeline.data.number_formats.general import general_text, to_decimal
from pipeline.data.number_formats.sections import (
    LONG_DATE,
    Section,
    choose_section,
    parse_sections,
)
from pipeline.data.number_formats.tokens import UnsupportedFormatError
from pipeline.data.number_formats.vulgar_fractions import fraction_text

_SYSTEM_CODES = {LONG_DATE: 'yyyy"\u5e74"m"\u6708"d"\u65e5"', "F400": "h:mm:ss"}


class NumberFormat:
    """What a cell with this format code shows.

    Raises:
        UnsupportedFormatError: the code is not understood.
    """

    def __init__(self, code: str, *, is_1904: bool = False) -> None:
        self.code = code
        self._sections, self._text = parse_sections(code)
        self._shown = [_shown(section, is_1904=is_1904) for section in self._sections]
        kinds = [token.kind for token in self._sections[0].tokens]
        text_kinds = ["text"] if self._text is None else [t.kind for t in self._text.tokens]
        self.is_general = (
            len(self._sections) == 1
            and kinds == ["general"]
            and not self._sections[0].numerals
            and text_kinds == ["text"]
        )
        """Texts are shown as they are, and numbers with all of their digits."""

    def of_text(self, text: str) -> str:
        """What a text cell shows."""
        if self._text is None:
            return text
        tokens = self._text.tokens
        return "".join(text if token.kind == "text" else token.text for token in tokens)

    def of_number(self, value: float) -> str:
        """What a number cell shows.

        Raises:
            UnsupportedFormatError: it shows `####` or something that is not known here.
        """
        index, value = choose_section(self._sections, value)
        return self._shown[index](value)


def _shown(section: Section, *, is_1904: bool) -> Callable[[float], str]:
    """The function that shows a number in the section."""
    if section.system is not None:
        (section,), _ = parse_sections(_SYSTEM_CODES[section.system])
    if section.has("date", "elapsed", "half_day"):
        return DateSection(section, is_1904=is_1904).text
    if section.has("general"):
        return lambda value: _with_general(section, value)
    if section.has("slash") and section.has("digit"):
        return lambda value: fraction_text(section.tokens, to_decimal(value))
    digits = DigitSection(section.tokens)
    if section.numerals:
        return lambda value: digit_by_digit(digits.text(to_decimal(value)), section.numerals)
    return lambda value: digits.text(to_decimal(value))


def _with_general(section: Section, value: float) -> str:
    number = general_text(abs(value))
    if section.numerals and "E" not in number:
        whole, point, decimals = number.partition(".")
        number = counted(int(whole), section.numerals) + point
        number += digit_by_digit(decimals, section.numerals)
    pieces = (number if token.kind == "general" else token.text for token in section.tokens)
    return ("-" if value < 0 else "") + "".join(pieces)


__all__ = ["NumberFormat", "UnsupportedFormatError"]

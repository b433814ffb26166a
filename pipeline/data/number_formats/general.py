"""Numbers in the format `General`: as the formula bar shows them, whatever the column's width."""

from decimal import Decimal

NUM_DIGITS = 15
"""Significant digits a spreadsheet program keeps of a number."""
_MAX_INTEGER_DIGITS = 21
_SMALLEST_EXPONENT = -9


def to_decimal(value: float) -> Decimal:
    """The value with the digits that a spreadsheet program keeps and shows."""
    return Decimal(f"{value:.{NUM_DIGITS}g}")


def general_text(value: float) -> str:
    """The value with all of its digits, at most 15, and no exponent unless it needs one.

    A cell shows fewer decimals, or `1.1E+17`, where its column is narrow; the text must not depend
    on that. Numbers of more than 21 digits, and those below 0.000000001, have an exponent.
    """
    number = to_decimal(value)
    if not number:
        return "0"
    exponent = number.adjusted()
    if _SMALLEST_EXPONENT <= exponent < _MAX_INTEGER_DIGITS:
        text = f"{number:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    digits = "".join(map(str, number.as_tuple().digits)).rstrip("0")
    mantissa = digits[0] + (f".{digits[1:]}" if digits[1:] else "")
    return f"{'-' if number < 0 else ''}{mantissa}E{'-' if exponent < 0 else '+'}{abs(exponent):02}"

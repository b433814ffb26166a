"""Sections that show a number as a fraction: `# ?/?`, `# ??/??`, `?/?`, `# ?/4`."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from pipeline.data.number_formats.digits import empty_place, placed_digits
from pipeline.data.number_formats.tokens import Token, UnsupportedFormatError


def fraction_text(tokens: Sequence[Token], number: Decimal) -> str:
    """The number as whole and fraction, or as a fraction alone, as the section has places.

    The nearest fraction whose denominator has as many digits as there are places.
    """
    slash = next(index for index, token in enumerate(tokens) if token.kind == "slash")
    top = _run(tokens, slash - 1, -1)
    bottom = _run(tokens, slash + 1, 1)
    whole = [i for i, token in enumerate(tokens) if token.kind == "digit" and i < top.start]
    fixed = "".join(tokens[index].text for index in bottom)
    value = Fraction(abs(number))
    base, rest = divmod(value, 1) if whole else (0, value)
    if fixed.isdigit() and fixed.strip("0"):
        denominator = int(fixed)
        numerator = round(rest * denominator)
    else:
        nearest = rest.limit_denominator(10 ** len(bottom) - 1)
        numerator, denominator = nearest.numerator, nearest.denominator
    if whole and numerator == denominator:
        base, numerator = base + 1, 0
    if whole and numerator == 0:
        texts = placed_digits(tokens, whole, str(base))
        texts |= dict.fromkeys((*top, slash, *bottom), " ")
    else:
        texts = placed_digits(tokens, whole, str(base) if base else "")
        texts |= placed_digits(tokens, top, str(numerator))
        texts |= _left(tokens, bottom, str(denominator))
    shown = "".join(texts.get(index, token.text) for index, token in enumerate(tokens))
    return f"-{shown}" if number < 0 and (base or numerator) else shown


def _run(tokens: Sequence[Token], start: int, step: int) -> range:
    """The adjacent digit places, or digits of a fixed denominator, that begin at `start`."""
    end = start
    while 0 <= end < len(tokens) and (
        tokens[end].kind == "digit" or (step > 0 and tokens[end].text.isdecimal())
    ):
        end += step
    if end == start:
        raise UnsupportedFormatError
    return range(start, end) if step > 0 else range(end + 1, start + 1)


def _left(tokens: Sequence[Token], places: Sequence[int], digits: str) -> dict[int, str]:
    return {
        index: digits[position : position + 1] or empty_place(tokens[index])
        for position, index in enumerate(places)
    }

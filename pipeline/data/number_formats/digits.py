"""Sections of digit placeholders: `#,##0.00`, `0%`, `000-0000`, `0.0,`, `0.00E+00`."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal

from pipeline.data.number_formats.tokens import Token, UnsupportedFormatError

_CONTEXT = Context(prec=400, rounding=ROUND_HALF_UP)
_GROUP = 3


class DigitSection:
    """Where the placeholders of a section stand, found once for all of its numbers."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._whole, self._decimals, self._exponent = _places(tokens)
        commas = [index for index, token in enumerate(tokens) if token.kind == "comma"]
        grouping = [i for i in commas if self._whole and self._whole[0] < i < self._whole[-1]]
        scaling = _scaling_commas(tokens, self._whole, self._decimals)
        self._silent = {*grouping, *scaling}
        self._is_grouped = bool(grouping)
        num_percents = sum(token.kind == "percent" for token in tokens)
        self._scale = 2 * num_percents - _GROUP * len(scaling)
        self._step = Decimal(1).scaleb(-len(self._decimals))
        self._has_exponent = any(token.kind == "exponent" for token in tokens)
        self._point = next((i for i, token in enumerate(tokens) if token.kind == "point"), None)

    def text(self, number: Decimal) -> str:
        """The number as the section shows it, with a leading minus where it is negative.

        Rounded half away from zero, of the 15 digits that a spreadsheet program keeps.
        """
        magnitude = abs(number).scaleb(self._scale, _CONTEXT)
        power = 0
        if self._has_exponent and magnitude:
            magnitude, power = self._mantissa(magnitude)
        rounded = magnitude.quantize(self._step, context=_CONTEXT)
        whole, _, decimals = f"{rounded:f}".partition(".")
        texts = self._whole_digits(whole.lstrip("0"))
        texts |= self._decimal_digits(decimals.rstrip("0"))
        if self._has_exponent:
            texts |= placed_digits(self._tokens, self._exponent, str(abs(power)).lstrip("0"))
        if not self._whole and self._point is not None:
            # `.00` has no place for digits before the point, but shows them.
            texts[self._point] = f"{whole.lstrip('0')}."
        shown = "".join(
            [self._piece(index, token, texts, power) for index, token in enumerate(self._tokens)]
        )
        # What rounds to nothing has no sign; text alone keeps it.
        has_sign = number < 0 and (rounded or not (self._whole or self._decimals))
        return f"-{shown}" if has_sign else shown

    def _mantissa(self, magnitude: Decimal) -> tuple[Decimal, int]:
        width = max(1, len(self._whole))
        # `##0.0E+0`: exponents are multiples of the number of places before the point.
        is_multiple = any(self._tokens[index].text == "#" for index in self._whole)

        def scaled(adjusted: int) -> tuple[Decimal, int]:
            power = adjusted - adjusted % width if is_multiple else adjusted - width + 1
            return magnitude.scaleb(-power, _CONTEXT), power

        mantissa, power = scaled(magnitude.adjusted())
        rounded = mantissa.quantize(self._step, context=_CONTEXT)
        if rounded.adjusted() > mantissa.adjusted():
            return scaled(magnitude.adjusted() + 1)
        return mantissa, power

    def _whole_digits(self, digits: str) -> dict[int, str]:
        texts = placed_digits(self._tokens, self._whole, digits)
        if not self._is_grouped:
            return texts
        to_the_right = 0
        for index in reversed(self._whole):
            grouped = ""
            for character in reversed(texts[index]):
                if to_the_right and to_the_right % _GROUP == 0 and character != " ":
                    grouped = f",{grouped}"
                grouped = character + grouped
                to_the_right += 1
            texts[index] = grouped
        return texts

    def _decimal_digits(self, digits: str) -> dict[int, str]:
        """Digits from the left; zeros at the end are shown where the placeholder is `0`."""
        return {
            index: digits[position] if position < len(digits) else empty_place(self._tokens[index])
            for position, index in enumerate(self._decimals)
        }

    def _piece(self, index: int, token: Token, texts: dict[int, str], power: int) -> str:
        if index in texts:
            return texts[index]
        if token.kind == "exponent":
            return "E-" if power < 0 else f"E{token.text[1].replace('-', '')}"
        return "" if index in self._silent else token.text


def _places(tokens: Sequence[Token]) -> tuple[list[int], list[int], list[int]]:
    """Indexes of the placeholders before the point, behind it, and of the exponent."""
    places: tuple[list[int], list[int], list[int]] = ([], [], [])
    part = 0
    for index, token in enumerate(tokens):
        if token.kind == "digit":
            places[part].append(index)
        elif token.kind == "point" and part == 0:
            part = 1
        elif token.kind == "exponent":
            if part == 2:
                raise UnsupportedFormatError(token.text)
            part = 2
    return places


def _scaling_commas(
    tokens: Sequence[Token], whole: Sequence[int], decimals: Sequence[int]
) -> set[int]:
    """Commas right behind the last digit, or right before the point: each divides by a thousand."""
    scaling = set()
    for places in (whole, decimals):
        index = places[-1] + 1 if places else len(tokens)
        while index < len(tokens) and tokens[index].kind == "comma":
            scaling.add(index)
            index += 1
    return scaling


def placed_digits(tokens: Sequence[Token], places: Sequence[int], digits: str) -> dict[int, str]:
    """Digits by the index of their placeholder, from the right; the first has all that are left."""
    texts = {}
    for index in reversed(places):
        texts[index] = digits[-1:] or empty_place(tokens[index])
        digits = digits[:-1]
    if digits and places:
        texts[places[0]] = digits + texts[places[0]]
    return texts


def empty_place(placeholder: Token) -> str:
    """What a placeholder without a digit shows."""
    return {"0": "0", "?": " "}.get(placeholder.text, "")

"""Sections of a format code: which of them shows a number, and whether it shows the sign."""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.data.number_formats.tokens import (
    Token,
    UnsupportedFormatError,
    split_sections,
    tokens_of,
)

MAX_SECTIONS = 4
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?[0-9.]+(?:E[+-]?[0-9]+)?)", re.IGNORECASE)
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, ">": operator.gt, "<=": operator.le,
    ">=": operator.ge, "=": operator.eq, "<>": operator.ne,
}  # fmt: skip
_LANGUAGES = {0x04: "zh", 0x09: "en"}
_PRIMARY_LANGUAGE = 0x3FF
_LANGUAGE_TAGS = {"zh": "zh", "en": "en"}
LONG_DATE = "F800"
_SYSTEM_TAGS = (LONG_DATE, "F400")


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One section of a format code."""

    tokens: tuple[Token, ...]
    """All pieces but brackets; a currency in brackets is a literal."""
    condition: tuple[str, float] | None = None
    language: str | None = None
    """`zh`, `en`, another language's number; None where the code names none."""
    system: str | None = None
    """`F800` or `F400`: the long date or the time of the computer, whatever the pieces say."""
    numerals: int = 0
    """1, 2, 3 for `[DBNum1]` to `[DBNum3]`, else 0."""

    def has(self, *kinds: str) -> bool:
        return any(token.kind in kinds for token in self.tokens)

    def holds(self, value: float) -> bool:
        """Whether its own condition, if it has one, is true of the value."""
        if self.condition is None:
            return True
        sign, limit = self.condition
        return _COMPARE[sign](value, limit)

    @property
    def takes_only_negatives(self) -> bool:
        """Numbers that reach a section for negative ones only are shown without their sign."""
        if self.condition is None:
            return False
        sign, limit = self.condition
        return (sign == "<" and limit <= 0) or (sign in {"<=", "="} and limit < 0)


def parse_sections(code: str) -> tuple[list[Section], Section | None]:
    """The sections for numbers, in order, then the one for text, None where text is as it is.

    Raises:
        UnsupportedFormatError: more sections than the grammar has.
    """
    sections = [_section(text) for text in split_sections(code)]
    if len(sections) > MAX_SECTIONS:
        raise UnsupportedFormatError(code)
    if len(sections) == MAX_SECTIONS or sections[-1].has("text"):
        text = sections.pop()
        # A single section with @ shows numbers as they are.
        return sections or [Section(tokens=(Token("general", "General"),))], text
    return sections, None


def choose_section(sections: Sequence[Section], value: float) -> tuple[int, float]:
    """Which section shows the value, and the value without its sign where the section says it.

    Without conditions: positive (and zero), negative, zero.

    Raises:
        UnsupportedFormatError: each section has a condition and none is true; programs show `####`.
    """
    if any(section.condition for section in sections):
        # Sections without a condition take what those with one leave.
        order = sorted(range(len(sections)), key=lambda index: sections[index].condition is None)
        for index in order:
            if sections[index].holds(value):
                return index, abs(value) if _says_sign(sections, index) else value
        raise UnsupportedFormatError
    if value < 0 and len(sections) > 1:
        return 1, -value
    if value == 0 and len(sections) == MAX_SECTIONS - 1:
        return 2, value
    return 0, value


def _says_sign(sections: Sequence[Section], index: int) -> bool:
    """Only negative numbers reach the section, so that it shows the sign itself if it wants one."""
    if sections[index].condition is None and index:
        return sections[index - 1].condition in {(">=", 0.0), (">", 0.0)}
    return sections[index].takes_only_negatives


def _section(text: str) -> Section:
    tokens: list[Token] = []
    condition: tuple[str, float] | None = None
    language = system = None
    numerals = 0
    for token in tokens_of(text):
        if token.kind != "bracket":
            tokens.append(token)
        elif token.text.startswith("$"):
            currency, _, tag = token.text[1:].partition("-")
            if currency:
                tokens.append(Token("literal", currency))
            if tag.upper() in _SYSTEM_TAGS:
                system = tag.upper()
            elif tag:
                language = _language(tag)
        elif match := _CONDITION.fullmatch(token.text.strip()):
            condition = (match[1], float(match[2]))
        elif token.text.lower().startswith("dbnum"):
            numerals = int(token.text[5:]) if token.text[5:] in {"1", "2", "3"} else 0
        # All others are colours.
    return Section(
        tokens=tuple(tokens),
        condition=condition,
        language=language,
        system=system,
        numerals=numerals,
    )


def _language(tag: str) -> str:
    """`zh` or `en` of a language tag or an LCID, of which the last four digits are the language.

    Raises:
        UnsupportedFormatError: the digits before them name another calendar or other numerals.
    """
    tag = tag.partition(",")[0]
    try:
        number = int(tag, 16)
    except ValueError:
        return _LANGUAGE_TAGS.get(tag[:2].lower(), tag)
    if number >> 16 & 0xFF > 1 or number >> 24 > 1:
        raise UnsupportedFormatError(tag)
    return _LANGUAGES.get(number & _PRIMARY_LANGUAGE, tag)

"""Pieces of one section of a number format code."""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

TokenKind = Literal[
    "literal", "pad", "digit", "point", "comma", "percent", "exponent", "slash", "text", "general",
    "date", "elapsed", "half_day", "bracket",
]  # fmt: skip


class Token(NamedTuple):
    """One piece: what it is, and its letters or the text it stands for."""

    kind: TokenKind
    text: str


class UnsupportedFormatError(ValueError):
    """A format code that is not understood; what it would show is unknown."""


_PIECES = re.compile(
    r"""
      "(?P<quoted>[^"]*)"?
    | \\(?P<escaped>.?)
    | _(?P<pad>.?)
    | \*(?P<fill>.?)
    | \[(?P<elapsed>h+|m+|s+)\]
    | \[(?P<bracket>[^\]]*)\]
    | (?P<general>General)
    | (?P<half_day>AM/PM|A/P|\u4e0a\u5348/\u4e0b\u5348)
    | (?P<exponent>E[+-])
    | (?P<date>y+|m+|d+|h+|s+|e+|g+|b+|a{3,})
    | (?P<digit>[0#?])
    | (?P<text>@)
    | (?P<point>\.)
    | (?P<comma>,)
    | (?P<percent>%)
    | (?P<slash>/)
    | (?P<literal>.)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_LITERALS = frozenset({"quoted", "escaped", "literal"})


def tokens_of(section: str) -> Iterator[Token]:
    """The pieces of a section, in order. Fill characters depend on the width and are left out."""
    for match in _PIECES.finditer(section):
        kind = match.lastgroup or "literal"
        text = match[kind]
        if kind in _LITERALS:
            yield Token("literal", text)
        elif kind == "pad":
            # As wide as the character after it: a space in every text that programs export.
            yield Token("pad", " ")
        elif kind != "fill":
            yield Token(kind, text)  # type: ignore[arg-type]  # the group names are the kinds


def split_sections(code: str) -> list[str]:
    """The code at its semicolons, but for those in quotes, brackets and behind a backslash."""
    sections = [""]
    for match in _PIECES.finditer(code):
        if match["literal"] == ";":
            sections.append("")
        else:
            sections[-1] += match[0]
    return sections

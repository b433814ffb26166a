"""Pieces of a date section: minutes told from months, and decimals of seconds put together."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pipeline.data.number_formats.tokens import Token, UnsupportedFormatError

PieceKind = Literal["literal", "calendar", "clock", "elapsed", "decimals", "half_day"]


class Piece(NamedTuple):
    """One piece of a date: its letters, in lower case, or the text it stands for."""

    kind: PieceKind
    text: str


def date_pieces(tokens: Sequence[Token]) -> list[Piece]:
    """The tokens of a date section. `m` is the minute behind an hour or before a second.

    Raises:
        UnsupportedFormatError: digits of a number among those of a date.
    """
    pieces: list[Piece] = []
    for index, token in enumerate(tokens):
        letters = token.text.lower()
        match token.kind:
            case "date" if letters[0] in "hs":
                pieces.append(Piece("clock", letters))
            case "date" if letters[0] == "m" and len(letters) < 3 and _is_minute(tokens, index):
                pieces.append(Piece("clock", letters))
            case "date":
                pieces.append(Piece("calendar", letters))
            case "elapsed":
                pieces.append(Piece("elapsed", letters))
            case "half_day":
                pieces.append(Piece("half_day", token.text))
            case "point" if _next_kind(tokens, index) == "digit":
                pieces.append(Piece("decimals", ""))
            case "digit":
                if not pieces or pieces[-1].kind != "decimals":
                    raise UnsupportedFormatError
                pieces[-1] = Piece("decimals", pieces[-1].text + "0")
            case "exponent" | "general":
                raise UnsupportedFormatError
            case _:
                pieces.append(Piece("literal", token.text))
    return pieces


def _next_kind(tokens: Sequence[Token], index: int) -> str | None:
    return tokens[index + 1].kind if index + 1 < len(tokens) else None


def _is_minute(tokens: Sequence[Token], index: int) -> bool:
    return _neighbour(tokens, index, -1) == "h" or _neighbour(tokens, index, 1) == "s"


def _neighbour(tokens: Sequence[Token], index: int, step: int) -> str | None:
    """The first letter of the nearest date piece on one side."""
    index += step
    while 0 <= index < len(tokens):
        if tokens[index].kind in {"date", "elapsed"}:
            return tokens[index].text[0].lower()
        index += step
    return None

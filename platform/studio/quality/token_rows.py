"""The rows of a token preview, out of the file that its run wrote."""

from dataclasses import dataclass
from pathlib import Path

from studio.datasets.parquet_pages import read_page


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownPiece:
    """A stretch of text of one token or of a few."""

    text: str
    num_tokens: int
    is_trained: bool
    is_special: bool

    @property
    def visible_text(self) -> str:
        """White space at an edge, and line ends, as signs that can be seen."""
        marked = self.text.replace("\n", "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}\n")
        return marked.replace("\t", "\N{RIGHTWARDS ARROW TO BAR}\t")


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownTokenRow:
    """What training makes of one row."""

    row: int
    """Index in the version, from 0."""
    row_id: str
    parts: tuple[tuple[ShownPiece, ...], ...]
    lost: tuple[ShownPiece, ...]
    num_tokens: int
    num_trained_tokens: int
    num_lost_tokens: int
    error_code: str
    error_message: str
    num_hidden_tokens: int
    """At the end of a long row; they are counted and not shown."""


def read_token_rows(path: Path, *, size: int) -> list[ShownTokenRow]:
    """All rows of the file; there are few."""
    return [_shown(row) for _index, row in read_page(path, start=0, size=size).rows]


def _shown(row: dict[str, object]) -> ShownTokenRow:
    parts = tuple(_pieces(part) for part in _list(row["parts"]))
    lost = _pieces(row["lost"])
    num_shown = sum(piece.num_tokens for part in (*parts, lost) for piece in part)
    num_tokens = int(str(row["num_tokens"]))
    code, _colon, message = str(row["error"] or "").partition(": ")
    return ShownTokenRow(
        row=int(str(row["row"])),
        row_id=str(row["id"]),
        parts=parts,
        lost=lost,
        num_tokens=num_tokens,
        num_trained_tokens=int(str(row["num_trained_tokens"])),
        num_lost_tokens=int(str(row["num_lost_tokens"])),
        error_code=code,
        error_message=message,
        num_hidden_tokens=max(num_tokens - num_shown, 0),
    )


def _pieces(part: object) -> tuple[ShownPiece, ...]:
    return tuple(
        ShownPiece(
            text=str(piece["text"]),
            num_tokens=int(str(piece["num_tokens"])),
            is_trained=bool(piece["is_trained"]),
            is_special=bool(piece["is_special"]),
        )
        for piece in _list(part)
    )


def _list(value: object) -> list[dict[str, object]]:
    return value if isinstance(value, list) else []

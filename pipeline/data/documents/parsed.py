"""What every document format is read into: one text, and where in it pages and headings begin."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

MAX_HEADINGS = 2_000
"""A document with more of them is read; its later pieces keep the last heading that was noted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A page or a heading begins."""

    start: int
    """Where in the text, in characters."""
    page: int | None = None
    """Number of the page from 1."""
    headings: tuple[str, ...] = ()
    """The heading and those above it, the highest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParsedDocument:
    """The whole text of a document."""

    text: str
    title: str = ""
    """Its own, not that of the file; empty where it has none."""
    marks: tuple[Mark, ...] = ()
    """In the order of the text."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """What a reader of the file has before them and the text has not, such as pictures: how many
    of each."""

    def as_json(self) -> dict[str, Any]:
        """As it travels between processes."""
        return {**asdict(self), "marks": [asdict(mark) for mark in self.marks]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ParsedDocument":
        """The document that `as_json` gave."""
        marks = tuple(
            Mark(start=mark["start"], page=mark["page"], headings=tuple(mark["headings"]))
            for mark in value["marks"]
        )
        return cls(
            text=value["text"], title=value["title"], marks=marks, left_out=value["left_out"]
        )

    def places(self, pieces: list[str]) -> Iterator[dict[str, Any]]:
        """Where each of the text's pieces stands: its pages, or the headings above it."""
        start = 0
        index = 0
        current: Mark | None = None
        for piece in pieces:
            # A heading on the first line of the piece is the piece's own.
            while index < len(self.marks) and self.marks[index].start <= start:
                current = self.marks[index]
                index += 1
            place = _place(current)
            start += len(piece)
            while index < len(self.marks) and self.marks[index].start < start:
                current = self.marks[index]
                index += 1
            if current is not None and current.page is not None:
                place["last_page"] = current.page
            yield place


def _place(mark: Mark | None) -> dict[str, Any]:
    if mark is None:
        return {}
    if mark.page is not None:
        return {"page": mark.page}
    return {"heading": " > ".join(mark.headings)} if mark.headings else {}


class Outline:
    """The headings above a place, as a document is read from its beginning."""

    def __init__(self) -> None:
        self._open: list[tuple[int, str]] = []
        self.marks: list[Mark] = []
        self.first = ""
        """The first heading."""

    def add(self, level: int, heading: str, start: int) -> None:
        """A heading of this level, 1 for the highest, begins at `start`."""
        self._open = [(other, text) for other, text in self._open if other < level]
        self._open.append((level, heading[:200]))
        self.first = self.first or heading
        if len(self.marks) < MAX_HEADINGS:
            headings = tuple(text for _, text in self._open)
            self.marks.append(Mark(start=start, headings=headings))

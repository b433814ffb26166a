"""What the named styles of a Word document make of a paragraph: a heading, an item of a list."""

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from pipeline.data.documents.word_numbers import attribute, child, local_name, value_of

MAX_DEPTH = 32
"""Of styles that are based on one another, which may go in a circle."""
TITLE_LEVEL = 0
_NUM_HEADING_LEVELS = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class ParagraphStyle:
    """What a paragraph is where it does not say it itself."""

    heading_level: int | None = None
    """From 1; `TITLE_LEVEL` for the title of the document; None where it is no heading."""
    list_number: str | None = None
    list_level: str | None = None


class Styles:
    """The paragraph styles of a document by their id."""

    def __init__(self, root: Element | None) -> None:
        self._elements = {
            attribute(item, "styleId") or "": item
            for item in (root if root is not None else ())
            if local_name(item.tag) == "style"
        }
        self._found: dict[str, ParagraphStyle] = {}

    def style(self, name: str) -> ParagraphStyle:
        """The style with this id, with what it has of those it is based on."""
        if name not in self._found:
            self._found[name] = self._resolved(name)
        return self._found[name]

    def _resolved(self, name: str) -> ParagraphStyle:
        level: int | None = None
        number: str | None = None
        list_level: str | None = None
        for _ in range(MAX_DEPTH):
            element = self._elements.get(name)
            if element is None:
                break
            properties = child(element, "pPr")
            level = _level(element, properties) if level is None else level
            listed = child(properties, "numPr")
            number = number or value_of(listed, "numId")
            list_level = list_level or value_of(listed, "ilvl")
            name = value_of(element, "basedOn") or ""
        return ParagraphStyle(heading_level=level, list_number=number, list_level=list_level)


def _level(element: Element, properties: Element | None) -> int | None:
    """Built-in styles have these names in every language of the program."""
    name = (value_of(element, "name") or "").lower()
    if name == "title":
        return TITLE_LEVEL
    digits = name.removeprefix("heading ")
    if digits != name and len(digits) == 1 and digits in "123456789":
        return int(digits)
    return outline_level(value_of(properties, "outlineLvl"))


def outline_level(value: str | None) -> int | None:
    """The level of a heading, from 1, that an outline level from 0 means."""
    if value is None or value not in {*"012345678"}:
        return None
    return min(int(value) + 1, _NUM_HEADING_LEVELS)

"""The text of a Word document as a reader sees it, in the order of the document.

The parts are read as events, so that memory does not depend on how many elements they have.
Changes that were tracked count as accepted: what was inserted is text, what was deleted is none.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from pipeline.data.documents.parsed import Outline
from pipeline.data.documents.word_numbers import Numbering, attribute
from pipeline.data.documents.word_styles import TITLE_LEVEL, Styles, outline_level

MAX_DEPTH = 200
"""Of elements, which a table in a table in a text box needs fifty of."""
MAX_CHARS = 16 << 20
NAMESPACE_END = "}"
"""Between the namespace and the name of an element, as the parser gives both."""
CELL_SEPARATOR = "\t"
_WORD = (
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    "http://purl.oclc.org/ooxml/wordprocessingml/main",
)
_MATH = (
    "http://schemas.openxmlformats.org/officeDocument/2006/math",
    "http://purl.oclc.org/ooxml/officeDocument/math",
)
_COMPATIBILITY = "http://schemas.openxmlformats.org/markup-compatibility/2006"
_FALLBACK = f"{_COMPATIBILITY}}}Fallback"
_NAMES = dict.fromkeys(_WORD, "") | dict.fromkeys(_MATH, "m:")
_UNSEEN: Mapping[str, str] = {
    "del": "deleted",
    "moveFrom": "moved_away",
    "instrText": "",
    "delText": "",
    "delInstrText": "",
    "rt": "",
    "sectPr": "",
    "tblPr": "",
    "tblGrid": "",
    "trPr": "",
    "sdtPr": "",
}
"""Elements whose content no reader sees, and how what is left out is counted."""
_UNSEEN_PROPERTIES = frozenset({"pPrChange", "rPrChange", "sectPr"})
"""What a paragraph was before a change."""
_COUNTED: Mapping[str, str] = {
    "drawing": "pictures",
    "pict": "pictures",
    "object": "pictures",
    "commentReference": "comments",
    "altChunk": "embedded_documents",
}
_SIGNS: Mapping[str, str] = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}


class TooLargeError(Exception):
    """The document has more text, or is deeper, than one may be."""


@dataclass(kw_only=True, slots=True)
class _Paragraph:
    parts: list[str] = field(default_factory=list)
    boxes: list[str] = field(default_factory=list)
    """Paragraphs of text boxes that are anchored in this one."""
    style: str = ""
    list_number: str | None = None
    list_level: str | None = None
    outline: int | None = None
    is_joined: bool = False
    """Its end was deleted: the next paragraph goes on in it."""


class WordText:
    """Takes the events of one part and has its lines, headings and what was left out.

    `start`, `end` and `data` are the handlers of a parser.
    """

    def __init__(self, styles: Styles, numbering: Numbering, notes: Mapping[str, str]) -> None:
        """`notes`: label before the number of a note, by the element that refers to it."""
        self.outline = Outline()
        self.title = ""
        self.left_out: Counter[str] = Counter()
        self.notes: dict[str, list[str]] = {}
        """Lines of a part that holds notes, by the note's id."""
        self._styles = styles
        self._numbering = numbering
        self._labels = notes
        self._depth = 0
        self._num_unseen = 0
        """Depth inside an element that nobody sees; 0 outside."""
        self._containers: list[list[str]] = [[]]
        self._next_start = 0
        """Where the next line begins in the text."""
        self._num_chars = 0
        self._paragraphs: list[_Paragraph] = []
        self._carried: list[str] = []
        self._properties: list[str] = []
        """Which properties are being read: `pPr`, `rPr`."""
        self._is_hidden = False
        self._is_text = False
        self._actions: dict[str, Callable[[Mapping[str, str]], None]] = {
            "p": self._begin_paragraph,
            "txbxContent": self._begin_container,
            "tc": self._begin_container,
            "tr": self._begin_container,
            "footnote": self._begin_note,
            "endnote": self._begin_note,
            "footnoteReference": lambda items: self._refer("footnote", items),
            "endnoteReference": lambda items: self._refer("endnote", items),
            "sym": self._symbol,
        }
        self._endings: dict[str, Callable[[], None]] = {
            "p": self._end_paragraph,
            "txbxContent": self._end_box,
            "tc": self._end_cell,
            "tr": self._end_row,
            "r": self._end_run,
        }

    @property
    def lines(self) -> list[str]:
        """The paragraphs, rows of tables among them."""
        return self._containers[0]

    def start(self, tag: str, items: Mapping[str, str]) -> None:
        """An element begins."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooLargeError
        name = _name(tag)
        if self._num_unseen:
            self._num_unseen += 1
        elif name in {"pPr", "rPr"}:
            self._properties.append(name)
        elif self._properties:
            if name in _UNSEEN_PROPERTIES:
                self._num_unseen = 1
            else:
                self._note_property(name, items)
        elif name in _UNSEEN or tag == _FALLBACK:
            self._num_unseen = 1
            self._count(_UNSEEN.get(name, ""))
        else:
            self._count(_COUNTED.get(name, ""))
            self._is_text = name in {"t", "m:t"}
            if name in _SIGNS and self._paragraphs:
                self._add(_SIGNS[name])
            elif name in self._actions:
                self._actions[name](items)

    def end(self, tag: str) -> None:
        """An element ends."""
        self._depth -= 1
        name = _name(tag)
        if self._num_unseen:
            self._num_unseen -= 1
        elif self._properties:
            if name == self._properties[-1]:
                self._properties.pop()
        else:
            self._is_text = False
            if name in self._endings:
                self._endings[name]()

    def data(self, text: str) -> None:
        """Characters inside an element."""
        if self._is_text and not self._num_unseen and not self._properties:
            self._add(text)

    def close(self) -> None:
        """All events were seen."""
        if self._carried:
            self._append("".join(self._carried))

    def _add(self, text: str) -> None:
        if self._is_hidden:
            self.left_out["hidden"] += 1
        elif self._paragraphs:
            self._num_chars += len(text)
            if self._num_chars > MAX_CHARS:
                raise TooLargeError
            self._paragraphs[-1].parts.append(text)

    def _count(self, what: str) -> None:
        if what:
            self.left_out[what] += 1

    def _note_property(self, name: str, items: Mapping[str, str]) -> None:
        value = attribute(items, "val")
        if self._properties == ["rPr"]:
            if name == "vanish" and value not in {"0", "false", "off"}:
                self._is_hidden = True
        elif self._paragraphs:
            paragraph = self._paragraphs[-1]
            if name == "pStyle":
                paragraph.style = value or ""
            elif name == "numId":
                paragraph.list_number = value
            elif name == "ilvl":
                paragraph.list_level = value
            elif name == "outlineLvl":
                paragraph.outline = outline_level(value)
            elif name == "del" and self._properties[-1] == "rPr":
                paragraph.is_joined = True

    def _begin_paragraph(self, items: Mapping[str, str]) -> None:
        self._paragraphs.append(_Paragraph())
        self._is_hidden = False

    def _end_run(self) -> None:
        self._is_hidden = False

    def _end_paragraph(self) -> None:
        paragraph = self._paragraphs.pop()
        text = "".join(paragraph.parts)
        if paragraph.is_joined:
            self._carried.append(text)
            return
        style = self._styles.style(paragraph.style)
        number = paragraph.list_number or style.list_number
        if number is not None:
            level = paragraph.list_level or style.list_level
            depth = (
                int(level)
                if level is not None and level in {*"012345678"}
                else self._numbering.level_of_style(number, paragraph.style)
            )
            label = self._numbering.next_label(number, depth)
            text = f"{label} {text}" if label else text
        text = "".join(self._carried) + text
        self._carried = []
        heading = style.heading_level if paragraph.outline is None else paragraph.outline
        if heading is not None and len(self._containers) == 1 and text.strip():
            self._note_heading(heading, text.strip())
        self._append(text)
        for line in paragraph.boxes:
            self._append(line)

    def _note_heading(self, level: int, text: str) -> None:
        if level == TITLE_LEVEL:
            self.title = self.title or text
        else:
            self.outline.add(level, text, self._next_start)

    def _append(self, line: str) -> None:
        self._containers[-1].append(line)
        if len(self._containers) == 1:
            self._next_start += len(line) + 1

    def _begin_container(self, items: Mapping[str, str]) -> None:
        self._containers.append([])

    def _end_box(self) -> None:
        lines = self._containers.pop()
        if self._paragraphs:
            self._paragraphs[-1].boxes.extend(lines)
        else:
            self._containers[-1].extend(lines)

    def _end_cell(self) -> None:
        lines = self._containers.pop()
        cell = " ".join(" ".join(line.split()) for line in lines if line.strip())
        self._append(cell)

    def _end_row(self) -> None:
        cells = self._containers.pop()
        self._append(CELL_SEPARATOR.join(cells))

    def _begin_note(self, items: Mapping[str, str]) -> None:
        is_rule = attribute(items, "type") not in {None, "normal"}
        lines: list[str] = []
        self._containers[0] = lines
        if not is_rule:
            self.notes[attribute(items, "id") or ""] = lines

    def _refer(self, element: str, items: Mapping[str, str]) -> None:
        self._add(f"[{self._labels[element]}{attribute(items, 'id')}]")

    def _symbol(self, items: Mapping[str, str]) -> None:
        """A sign of a font whose own characters nobody else can show is left out."""
        code = attribute(items, "char") or ""
        try:
            sign = chr(int(code, 16))
        except (ValueError, OverflowError):
            sign = ""
        if sign and sign.isprintable() and not "\ue000" <= sign <= "\uf8ff":
            self._add(sign)
        else:
            self._count("symbols")


@lru_cache(maxsize=4_096)
def _name(tag: str) -> str:
    """The name of an element of the text, with `m:` before those of formulas; else empty."""
    space, _, local = tag.rpartition(NAMESPACE_END)
    prefix = _NAMES.get(space)
    return "" if prefix is None else prefix + local

"""Word documents (.docx): headings, lists, tables and notes as text, in the order of the document.

Read from the parts of the file directly. A library for Word documents unpacks every picture to
memory, passes over inserted text, and has neither the numbers of lists nor notes or text boxes.
"""

import contextlib
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import ParseError
from xml.parsers import expat

from defusedxml.common import DefusedXmlException

from pipeline.contracts.row_error_phrases import (
    DOCUMENT_DAMAGED,
    DOCUMENT_ENTITIES,
    DOCUMENT_TOO_LARGE,
)
from pipeline.data.archives import ARCHIVE_DAMAGE
from pipeline.data.documents.parsed import ParsedDocument
from pipeline.data.documents.refusals import refused
from pipeline.data.documents.word_numbers import Numbering
from pipeline.data.documents.word_package import side_part, word_parts
from pipeline.data.documents.word_styles import Styles
from pipeline.data.documents.word_text import NAMESPACE_END, TooLargeError, WordText

_CHUNK_BYTES = 1 << 16
_NOTE_LABELS = {"footnote": "^", "endnote": "^e"}
"""Before the number of a note, where it is referred to and where it stands."""


def word_document(path: Path) -> ParsedDocument:
    """The document in the file at `path`; notes follow at the end of its text.

    Raises:
        DocumentRefusedError: it is unsafe, damaged, or no document of a kind that is read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive)
    except DefusedXmlException:
        raise refused("file.document_unsafe", DOCUMENT_ENTITIES) from None
    except TooLargeError:
        raise refused("file.document_unsafe", DOCUMENT_TOO_LARGE) from None
    except (*ARCHIVE_DAMAGE, ParseError, expat.ExpatError):
        raise refused("file.document_damaged", DOCUMENT_DAMAGED) from None


def _read(archive: zipfile.ZipFile) -> ParsedDocument:
    parts = word_parts(archive)
    styles = Styles(side_part(archive, parts.styles))
    numbering = Numbering(side_part(archive, parts.numbering))
    body = _part(archive, parts.document, WordText(styles, numbering, _NOTE_LABELS))
    lines = list(body.lines)
    left_out = body.left_out
    for kind, name in (("footnote", parts.footnotes), ("endnote", parts.endnotes)):
        with contextlib.suppress(KeyError):  # a document without notes has no such part
            notes = _part(archive, name, WordText(styles, Numbering(None), _NOTE_LABELS))
            left_out.update(notes.left_out)
            lines.extend(_note_lines(_NOTE_LABELS[kind], notes.notes.items()))
    return ParsedDocument(
        text="\n".join(lines),
        title=body.title or body.outline.first,
        marks=tuple(body.outline.marks),
        left_out=dict(left_out),
    )


def _note_lines(label: str, notes: Iterable[tuple[str, list[str]]]) -> Iterable[str]:
    for identifier, lines in notes:
        text = " ".join(line.strip() for line in lines if line.strip())
        if text:
            yield f"[{label}{identifier}] {text}"


def _part(archive: zipfile.ZipFile, name: str, target: WordText) -> WordText:
    """The part's events go to `target`; half the time that the tree builder's parser takes.

    Entities can only be declared in a document type, and with one the document is refused.
    """
    parser = expat.ParserCreate(namespace_separator=NAMESPACE_END)
    parser.buffer_text = True
    parser.StartElementHandler = target.start
    parser.EndElementHandler = target.end
    parser.CharacterDataHandler = target.data
    parser.StartDoctypeDeclHandler = _refuse_entities
    with archive.open(name) as part:
        while chunk := part.read(_CHUNK_BYTES):
            parser.Parse(chunk)
    parser.Parse(b"", True)
    target.close()
    return target


def _refuse_entities(*_declared: object) -> NoReturn:
    raise refused("file.document_unsafe", DOCUMENT_ENTITIES)

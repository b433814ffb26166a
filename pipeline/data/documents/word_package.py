"""What is refused of a Word document before a byte of it is unpacked, and which parts are read."""

import posixpath
import zipfile
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import defusedxml.ElementTree

from pipeline.contracts.row_error_phrases import (
    DOCUMENT_DAMAGED,
    DOCUMENT_OVERLAP,
    DOCUMENT_TOO_LARGE,
)
from pipeline.contracts.row_errors import RowError
from pipeline.data.documents.refusals import DocumentRefusedError, refused

MAX_PART_BYTES = 64 << 20
"""Of the text itself, unpacked; pictures are never unpacked and may be larger."""
MAX_RATIO = 200
"""Text of Word compresses to a twentieth, seldom to a hundredth."""
MIN_BYTES_FOR_RATIO = 1 << 20
MAX_SIDE_PART_BYTES = 8 << 20
"""Of styles, numbering and relations."""
MAX_PARTS = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class WordParts:
    """Names of the parts of a document that hold text or say how it is shown; empty if absent."""

    document: str
    styles: str = ""
    numbering: str = ""
    footnotes: str = ""
    endnotes: str = ""


def word_parts(archive: zipfile.ZipFile) -> WordParts:
    """The parts that are read.

    Raises:
        DocumentRefusedError: macros, a password, or parts that are too large, overlap or are
            missing.
    """
    infos = archive.infolist()
    if any(info.filename.lower().endswith("vbaproject.bin") for info in infos):
        raise DocumentRefusedError(RowError(code="file.word_macro"))
    if any(info.flag_bits & 1 for info in infos):
        raise DocumentRefusedError(RowError(code="file.document_encrypted"))
    if len(infos) > MAX_PARTS:
        raise refused("file.document_unsafe", DOCUMENT_TOO_LARGE)
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise refused("file.document_unsafe", DOCUMENT_OVERLAP)
        end = info.header_offset + info.compress_size
    main = _targets(archive, "_rels/.rels", "").get("officeDocument", "word/document.xml")
    folder, name = posixpath.split(main)
    found = _targets(archive, f"{folder}/_rels/{name}.rels", folder)
    parts = WordParts(
        document=main,
        **{key: found.get(key, "") for key in ("styles", "numbering", "footnotes", "endnotes")},
    )
    for part in (parts.document, parts.footnotes, parts.endnotes):
        _check_size(archive, part, MAX_PART_BYTES)
    if main not in archive.NameToInfo:
        raise refused("file.document_damaged", DOCUMENT_DAMAGED)
    return parts


def side_part(archive: zipfile.ZipFile, name: str) -> Element | None:
    """The root of a small part; None where the document has none.

    Raises:
        DocumentRefusedError: it is too large.
        DefusedXmlException, ParseError: it declares entities, or is no XML.
    """
    if name not in archive.NameToInfo:
        return None
    _check_size(archive, name, MAX_SIDE_PART_BYTES)
    with archive.open(name) as part:
        root: Element = defusedxml.ElementTree.parse(part, forbid_dtd=True).getroot()
        return root


def _check_size(archive: zipfile.ZipFile, name: str, limit: int) -> None:
    # `zipfile` never unpacks more of a part than it declares.
    info = archive.NameToInfo.get(name)
    if info is None:
        return
    ratio = info.file_size // max(1, info.compress_size)
    is_bomb = info.file_size > MIN_BYTES_FOR_RATIO and ratio > MAX_RATIO
    if info.file_size > limit or is_bomb:
        raise refused("file.document_unsafe", DOCUMENT_TOO_LARGE)


def _targets(archive: zipfile.ZipFile, name: str, folder: str) -> dict[str, str]:
    """Kind of relation -> the part it names, for the parts inside the document."""
    root = side_part(archive, name)
    targets: dict[str, str] = {}
    for relation in root if root is not None else ():
        kind = relation.get("Type", "").rpartition("/")[2]
        if relation.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/", folder, relation.get("Target", "")))
            targets.setdefault(kind, target.lstrip("/"))
    return targets

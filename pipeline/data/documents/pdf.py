"""PDF documents that have text: page by page, each line as the page has it.

A PDF holds letters and places, no paragraphs: lines are neither joined nor is a word that was
divided at the end of a line put together. What stands on every page, such as its number, stays.
"""

import logging
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pypdf
from pypdf.errors import LimitReachedError, PyPdfError

from pipeline.contracts.row_error_phrases import (
    DOCUMENT_DAMAGED,
    DOCUMENT_GARBLED,
    DOCUMENT_PAGES,
    DOCUMENT_TOO_LARGE,
    DOCUMENT_TRUNCATED,
)
from pipeline.contracts.row_errors import RowError
from pipeline.data.documents.parsed import Mark, ParsedDocument
from pipeline.data.documents.refusals import DocumentRefusedError, refused

MAX_PAGES = 5_000
MAX_CHARS = 16 << 20
MAX_STREAM_BYTES = 32 << 20
"""Of what one page says, unpacked."""
_TAIL_BYTES = 4_096
_END = b"%%EOF"
_LIMITS: dict[str, Any] = {
    "zlib_maximum_output_length": MAX_STREAM_BYTES,
    "lzw_maximum_output_length": MAX_STREAM_BYTES,
    "run_length_maximum_output_length": MAX_STREAM_BYTES,
    "array_based_stream_maximum_output_length": MAX_STREAM_BYTES,
    # A damaged stream is an error, not a part of a page.
    "zlib_maximum_recovery_input_length": 1,
    "stream_decoding_work_maximum_length": 4 * MAX_STREAM_BYTES,
    "xform_maximum_invocations_per_extraction": 1_000,
    "jbig2dec_binary": None,
}
_LOSSES = (
    "Exceeded", "Impossible to decode", "Page contents are not", "Invalid stream",
    "Ignoring page tree entry", "Object %(idnum)d %(generation)d not defined",
)  # fmt: skip
"""How the library begins to say that it left something out and went on."""
# Fonts of Chinese documents name the shape of a radical where the character is meant; both look the
# same. Latin fonts have shapes for two letters in one.
_SAME_CHARACTERS = {
    code: unicodedata.normalize("NFKC", chr(code))
    for code in (*range(0x2F00, 0x2FD6), *range(0xFB00, 0xFB05))
}
# Raised by the library on files that are not what the format says, besides its own errors.
_DAMAGE = (
    PyPdfError, ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError,
    NotImplementedError, ArithmeticError, LookupError, OSError, EOFError,
)  # fmt: skip
_GARBLED_SHARE = 5
"""Percent of characters that are none, from which on nobody could read the text."""


def pdf_document(path: Path) -> ParsedDocument:
    """The document in the file at `path`; each page begins on a line of its own.

    Raises:
        DocumentRefusedError: it is damaged, asks for a password, has no text, or has more pages
            or text than a document may have.
    """
    if not _has_end(path):
        raise refused("file.document_damaged", DOCUMENT_TRUNCATED)
    try:
        with _watched() as losses, pypdf.apply_configuration(**_LIMITS), path.open("rb") as file:
            return _read(pypdf.PdfReader(file, strict=False), losses)
    except LimitReachedError as exc:
        if str(exc).startswith("Recovery"):  # of a damaged stream, which is not wanted
            raise refused("file.document_damaged", DOCUMENT_DAMAGED) from None
        raise refused("file.document_unsafe", DOCUMENT_TOO_LARGE) from None
    except RecursionError:
        raise refused("file.document_damaged", DOCUMENT_DAMAGED) from None
    except _DAMAGE:
        raise refused("file.document_damaged", DOCUMENT_DAMAGED) from None


def _has_end(path: Path) -> bool:
    """The file was not cut off: the library would read what is left as if it were all."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return _END in file.read()


def _read(reader: pypdf.PdfReader, losses: list[str]) -> ParsedDocument:
    # A document that only forbids printing opens with the empty password.
    if reader.is_encrypted and not reader.decrypt(""):
        raise DocumentRefusedError(RowError(code="file.document_encrypted"))
    num_pages = len(reader.pages)
    if num_pages > MAX_PAGES:
        raise refused("file.document_unsafe", DOCUMENT_PAGES)
    if num_pages == 0:
        raise refused("file.document_damaged", DOCUMENT_DAMAGED)
    losses.clear()
    texts: list[str] = []
    marks: list[Mark] = []
    start = num_empty = 0
    for number, page in enumerate(reader.pages, start=1):
        text = page.extract_text().translate(_SAME_CHARACTERS)
        if losses:
            raise refused("file.document_damaged", DOCUMENT_DAMAGED)
        num_empty += not text.strip()
        marks.append(Mark(start=start, page=number))
        texts.append(text)
        start += len(text) + 1
        if start > MAX_CHARS:
            raise refused("file.document_unsafe", DOCUMENT_TOO_LARGE)
    if num_empty * 2 > num_pages:
        params = {"count": num_empty, "pages": num_pages}
        raise DocumentRefusedError(RowError(code="file.pdf_scanned", params=params))
    whole = "\n".join(texts)
    if _is_garbled(whole):
        raise refused("file.document_damaged", DOCUMENT_GARBLED)
    left_out = {"pages_without_text": num_empty} if num_empty else {}
    return ParsedDocument(text=whole, title=_title(reader), marks=tuple(marks), left_out=left_out)


def _title(reader: pypdf.PdfReader) -> str:
    """What the document calls itself, which programs fill with the name of a file."""
    found = None if reader.metadata is None else reader.metadata.title
    title = " ".join(str(found or "").split())
    is_file_name = title.lower().startswith("microsoft word") or "." in title[-6:]
    return "" if is_file_name or not title.isprintable() else title[:200]


def _is_garbled(text: str) -> bool:
    """The fonts do not say which characters their shapes are."""
    odd = sum("\ue000" <= c <= "\uf8ff" or c == "\ufffd" or (c < " " and c not in "\t\n\r")
              for c in text)  # fmt: skip
    return odd * 100 > len(text) * _GARBLED_SHARE


@contextmanager
def _watched() -> Iterator[list[str]]:
    """What the library says it left out, collected while it reads."""
    losses: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: (  # type: ignore[method-assign]
        losses.append(str(record.msg)) if str(record.msg).startswith(_LOSSES) else None
    )
    log = logging.getLogger("pypdf")
    was_passed_on = log.propagate
    log.addHandler(handler)
    log.propagate = False
    try:
        yield losses
    finally:
        log.removeHandler(handler)
        log.propagate = was_passed_on

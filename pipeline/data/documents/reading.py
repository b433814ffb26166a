"""A file that is a document, read into the rows of a corpus."""

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.contracts.row_error_phrases import DOCUMENT_WORK
from pipeline.contracts.row_errors import RowError
from pipeline.data.documents.bounded import Answer, LimitExceededError, bounded
from pipeline.data.documents.parsed import ParsedDocument
from pipeline.data.documents.pieces import PIECE_KEY, PIECES_KEY, readable_pieces
from pipeline.data.documents.plain import markdown_document, plain_document
from pipeline.data.documents.refusals import DocumentRefusedError
from pipeline.data.encodings import Encoding, text_codec, without_mark
from pipeline.data.layouts import build_record
from pipeline.data.mojibake import ACCEPTABLE, check_undamaged
from pipeline.data.reading import Reading
from pipeline.data.records import Record
from pipeline.data.row_fields import InvalidRowError
from pipeline.data.text_lines import MAX_ROW_BYTES

DOCUMENT_NAMES: dict[str, str] = {
    "text": "plain text",
    "markdown": "a Markdown text",
    "docx": "a Word document",
    "pdf": "a PDF document",
}
"""What a person calls a format, one of the phrases of row errors."""


def document_records(
    path: Path, file_format: str, encoding: Encoding, reading: Reading, *, name: str
) -> Iterator[tuple[int, Record] | RowError]:
    """The document at `path` as one record, or one for each piece, with the number of the piece.

    Args:
        path: Where the file is.
        file_format: One of `DOCUMENT_NAMES`.
        encoding: Of plain text and Markdown.
        reading: What the rows are to be: only a corpus has documents.
        name: What a person calls the file; its id, and its title where it has none of its own.
    """
    if reading.kind != "corpus":
        params = {"detected": DOCUMENT_NAMES[file_format]}
        yield RowError(code="file.document_kind", params=params)
        return
    document = parsed_document(path, file_format, encoding)
    if isinstance(document, RowError):
        yield document
        return
    if not document.text.strip():
        yield RowError(code="file.empty", params={"bytes": path.stat().st_size})
        return
    for number, row in enumerate(_rows(document, name, reading.max_document_chars), start=1):
        try:
            if ACCEPTABLE not in reading.accept:
                check_undamaged(row)
            yield number, build_record(row, kind="corpus", line=number)
        except InvalidRowError as exc:
            yield exc.at_line(number)


def _rows(document: ParsedDocument, name: str, limit: int | None) -> Iterator[dict[str, Any]]:
    """`meta` has the file's name, the piece's pages or the heading it is under, and its number."""
    pieces = readable_pieces(document.text, limit)
    title = document.title or PurePosixPath(name).stem
    for number, (text, place) in enumerate(
        zip(pieces, document.places(pieces), strict=True), start=1
    ):
        meta: dict[str, Any] = {"file": name, **place}
        if document.left_out:
            meta["left_out"] = dict(document.left_out)
        identifier = name
        if len(pieces) == 1:
            meta.pop("heading", None)  # the whole text has all of them
        else:
            identifier = f"{name}#{number}"
            meta |= {PIECE_KEY: number, PIECES_KEY: len(pieces)}
        yield {"id": identifier, "title": title, "text": text, "meta": meta}


def parsed_document(path: Path, file_format: str, encoding: Encoding) -> ParsedDocument | RowError:
    """The document at `path`, or why it is refused."""
    if file_format in {"text", "markdown"}:
        text = _decoded(path, encoding)
        if isinstance(text, RowError):
            return text
        return markdown_document(text) if file_format == "markdown" else plain_document(text)
    try:
        answer = bounded(_worker(file_format), path)
    except LimitExceededError:
        return RowError(code="file.document_unsafe", params={"reason": DOCUMENT_WORK})
    if "code" in answer:
        return RowError(code=answer["code"], params=answer["params"])
    return ParsedDocument.from_json(answer)


def _decoded(path: Path, encoding: Encoding) -> str | RowError:
    if path.stat().st_size > MAX_ROW_BYTES:
        return RowError(code="row.too_long", line=1, params={"limit_mib": MAX_ROW_BYTES >> 20})
    content = without_mark(path.read_bytes())
    try:
        return content.decode(text_codec(path, encoding))
    except UnicodeDecodeError as exc:
        seen = content[max(0, exc.start - 20) : exc.start + 20]
        start = content.rfind(b"\n", 0, exc.start) + 1
        error = InvalidRowError(
            "row.encoding",
            value=seen.decode("ascii", "backslashreplace"),
            byte=exc.start - start + 1,
            encoding=encoding.upper(),
        )
        return error.at_line(content.count(b"\n", 0, exc.start) + 1)


def _worker(file_format: str) -> Callable[[Path], Answer]:
    """What reads such a file. Loaded only for a file of its kind, and before the fork."""
    if file_format == "docx":
        from pipeline.data.documents.word import word_document as read
    else:
        from pipeline.data.documents.pdf import pdf_document as read

    def work(path: Path) -> Answer:
        try:
            return read(path).as_json()
        except DocumentRefusedError as exc:
            return {"code": exc.error.code, "params": dict(exc.error.params)}

    return work

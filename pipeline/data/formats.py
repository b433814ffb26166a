"""Which format a data file is in, decided by its content; its name only settles what is left."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pipeline.contracts.row_errors import RowError
from pipeline.data.archives import archive_format
from pipeline.data.documents.prose import prose_format
from pipeline.data.encodings import UTF16_BOMS, unmarked_utf16, without_mark
from pipeline.data.json_shapes import is_spread
from pipeline.data.reading import Reading

FileFormat = Literal[
    "json_lines", "json_array", "csv", "xlsx", "parquet", "zip", "text", "markdown", "docx", "pdf"
]

TEXT_FORMATS = frozenset({"json_lines", "json_array", "csv", "text", "markdown"})
"""Those whose encoding has to be found out."""
_HEAD_BYTES = 8192
_ARRAY_OF_ROWS = re.compile(rb"\[\s*([\[{\]]|$)")
_MARKUP = re.compile(
    rb"<(?:html|!doctype|!--|\?xml|svg|table|meta|head|body|div|style)(?![a-z])", re.IGNORECASE
)
"""Office systems export tables as web pages, whatever they call the file."""
_SIGNATURES: Sequence[tuple[bytes, str]] = (
    (b"{\\rtf", "a rich text document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"SQLite format 3", "a database"),
    (b"GGUF", "a model file"),
)
_ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
_WORD_SUFFIXES = frozenset({".doc", ".docx", ".wps"})
_OLE_SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def detect_format(path: Path, reading: Reading | None = None) -> FileFormat | RowError:
    """How the file is read, or why it cannot be.

    The suffix only decides between formats that the content allows. `reading`, what its rows are to
    be, decides whether a text is a document or a table.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(_ZIP_SIGNATURES):
        return archive_format(path)
    if head.startswith(b"%PDF-"):
        return "pdf"
    if head.startswith(b"PAR1"):
        return "parquet"
    refusal = _signature_refusal(head, path)
    if refusal is not None:
        return refusal
    text = _as_utf8(head)
    refusal = _refusal(text, path)
    if refusal is not None:
        return refusal
    prose = prose_format(path, text, reading)
    if prose is not None:
        return prose
    start = text.lstrip()
    is_named_as_table = path.suffix.lower() in {".csv", ".tsv"}
    is_named_as_json = path.suffix.lower() in {".jsonl", ".json", ".ndjson"}
    if not is_named_as_table and _ARRAY_OF_ROWS.match(start):
        return "json_array"
    if is_named_as_json or (start.startswith(b"{") and not is_named_as_table):
        is_whole = len(head) < _HEAD_BYTES
        shown = start.decode("utf-8", "replace")
        return "json_array" if is_spread(shown, is_whole=is_whole) else "json_lines"
    return "csv"


def _as_utf8(head: bytes) -> bytes:
    """The head without its byte order mark; of UTF-16 its text, as far as it is whole."""
    if head.startswith(UTF16_BOMS):
        return head.decode("utf-16", "ignore").encode()
    if b"\0" in head:
        for codec in ("utf-16-le", "utf-16-be"):
            if unmarked_utf16(head, codec):
                return head.decode(codec, "ignore").encode()
    return without_mark(head)


def _signature_refusal(head: bytes, path: Path) -> RowError | None:
    for signature, detected in _SIGNATURES:
        if head.startswith(signature):
            return RowError(code="file.type", params={"detected": detected})
    if head.startswith(_OLE_SIGNATURE):
        is_word = path.suffix.lower() in _WORD_SUFFIXES
        return RowError(code="file.word_old" if is_word else "file.xlsx_old")
    if head[257:262] == b"ustar":
        return RowError(code="file.type", params={"detected": "a tar archive"})
    return None


def _refusal(head: bytes, path: Path) -> RowError | None:
    start = head.lstrip()
    if not start:
        # A first block of white space with content after it is left to the row readers.
        size = path.stat().st_size
        if size <= _HEAD_BYTES:
            return RowError(code="file.empty", params={"bytes": size})
    if _MARKUP.match(start):
        return RowError(code="file.type", params={"detected": "a web page or XML"})
    # One stray NUL is an error of its row; many control bytes are not text.
    control = sum(byte < 9 or 13 < byte < 32 for byte in head)
    if control > max(8, len(head) // 50):
        return RowError(code="file.type", params={"detected": "binary data"})
    return None

"""Whether a text file is prose, one document, or rows."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pipeline.data.columns import IGNORE, REQUIRED_COLUMNS, column_fields
from pipeline.data.reading import Reading
from pipeline.data.table_forms import DELIMITERS

TEXT_SUFFIXES = frozenset({".txt", ".text"})
MARKDOWN_SUFFIXES = frozenset({".md", ".markdown"})
_JSON = re.compile(rb"(\xef\xbb\xbf)?\s*(\[\s*){0,2}\{\s*[\"}]")
_NUM_LINES = 20
"""Of a table that has titles above its header."""


def prose_format(
    path: Path, head: bytes, reading: Reading | None
) -> Literal["text", "markdown"] | None:
    """Which kind of document the file is; None where it is none, or a table all the same.

    Markdown is always a document. A text is a table if a person has said so (a delimiter, a header
    row, columns) or if one of its first lines names the columns that the rows need; of questions
    and conversations, which text cannot hold otherwise, also if its lines all have the same number
    of columns.

    Args:
        path: The file, whose suffix counts.
        head: Its first bytes.
        reading: What the rows are to be; None asks only for what the name says.
    """
    suffix = path.suffix.lower()
    if _JSON.match(head):
        return None
    if suffix in MARKDOWN_SUFFIXES:
        return "markdown"
    if suffix not in TEXT_SUFFIXES or (reading is not None and _is_table(head, reading)):
        return None
    return "text"


def _is_table(head: bytes, reading: Reading) -> bool:
    if reading.is_mapped or reading.delimiter != "auto" or reading.header_row is not None:
        return True
    lines = _lines(head)
    return any(_is_split(lines, delimiter, reading) for delimiter in DELIMITERS)


def _is_split(lines: Sequence[str], delimiter: str, reading: Reading) -> bool:
    try:
        rows = list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return False
    if any(_names_columns(row, reading) for row in rows):
        return True
    widths = {len(row) for row in rows}
    return reading.kind != "corpus" and len(rows) > 1 and len(widths) == 1 and widths != {1}


def _names_columns(cells: Sequence[str], reading: Reading) -> bool:
    """All required columns are named, and of a document's no other: a sentence has commas, too."""
    fields = column_fields([cell.strip() for cell in cells], reading)
    is_named = {*REQUIRED_COLUMNS[reading.kind]} <= {*fields} and len(fields) > 1
    is_prose = reading.kind == "corpus" and any(
        field == IGNORE or field.startswith("meta.") for field in fields
    )
    return is_named and not is_prose


def _lines(head: bytes) -> list[str]:
    """The first lines with content; the last one of a longer file may be a part, and is left."""
    for encoding in ("utf-8", "gb18030"):
        text = head.decode(encoding, "ignore")
        if len(text.encode(encoding, "ignore")) > len(head) - 8:
            break
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    whole = lines[:-1] if len(lines) > 1 and len(head) > 4096 else lines
    return [line for line in whole if line.strip()][:_NUM_LINES]

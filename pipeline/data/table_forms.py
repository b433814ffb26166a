"""What is found out about a text table before its rows are read: its delimiter and its header row.

Experts' tables have a title above the header, or a line `sep=;` for Excel. The header is the first
of the first rows whose cells name every column the kind needs; rows above it are titles.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pipeline.contracts.row_errors import RowError
from pipeline.data.column_aliases import PAIRED_ALIASES
from pipeline.data.column_names import compared_name
from pipeline.data.columns import resolve_columns
from pipeline.data.csv_records import records_of
from pipeline.data.encodings import Encoding
from pipeline.data.reading import Reading
from pipeline.data.text_lines import iter_lines

DELIMITERS = (",", ";", "\t", "|")
NUM_HEADER_ROWS = 20
"""Among which the header is looked for."""
_MAX_LINES, _MAX_CHARS = 200, 1 << 18
_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"]|\t)"?\s*', re.IGNORECASE)

FormReason = Literal["chosen", "separator_line", "names_columns", "most_columns", "first_row"]
"""A person said it; the file's first line says it; the row so split names the columns; it splits
the header into most columns; the first row with more than one cell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableForm:
    """How a text table is laid out, and why it is thought so."""

    delimiter: str
    delimiter_reason: FormReason
    header_row: int
    """Line on which the header begins, from 1."""
    header_reason: FormReason


def settled_reading(path: Path, encoding: Encoding, reading: Reading) -> Reading:
    """The reading with the delimiter and header row that are found where none was said."""
    if reading.delimiter != "auto" and reading.header_row is not None:
        return reading
    form = find_table_form(path, encoding, reading)
    return replace(reading, delimiter=form.delimiter, header_row=form.header_row)


def find_table_form(path: Path, encoding: Encoding, reading: Reading) -> TableForm:
    """Delimiter and header row of a text table, from its first lines."""
    lines = _first_lines(path, encoding, reading.header_row or 1)
    separator = _separator_line(lines)
    delimiter_reason: FormReason = "most_columns"
    delimiters: Sequence[str] = DELIMITERS
    if reading.delimiter != "auto":
        delimiters, delimiter_reason = [reading.delimiter], "chosen"
    elif separator is not None:
        delimiters, delimiter_reason = [separator[1]], "separator_line"
    start = reading.header_row or (1 if separator is None else separator[0] + 1)
    lines = [(number, line) for number, line in lines if number >= start]
    tables = {delimiter: _split(lines, delimiter) for delimiter in delimiters}
    headers = {
        delimiter: rows[index]
        for delimiter, rows in tables.items()
        if (index := header_index([cells for _number, cells in rows], reading)) is not None
    }
    is_named = bool(headers)
    if not headers:
        headers = {
            delimiter: rows[_likely_index([cells for _number, cells in rows])]
            if rows
            else (start, ())
            for delimiter, rows in tables.items()
        }
    delimiter = max(headers, key=lambda found: len(headers[found][1]))
    if is_named and delimiter_reason == "most_columns":
        delimiter_reason = "names_columns"
    if reading.header_row is not None:
        return TableForm(
            delimiter=delimiter,
            delimiter_reason=delimiter_reason,
            header_row=reading.header_row,
            header_reason="chosen",
        )
    return TableForm(
        delimiter=delimiter,
        delimiter_reason=delimiter_reason,
        header_row=headers[delimiter][0],
        header_reason="names_columns" if is_named else "first_row",
    )


def header_index(rows: Sequence[Sequence[str]], reading: Reading) -> int | None:
    """Which of the first rows of a table names its columns; None where none does.

    Of one row that is said to be the header only that one is looked at. Names tell a header;
    positions fit any row, so that with them it is the one that looks like a header.
    """
    rows = rows[: 1 if reading.header_row is not None else NUM_HEADER_ROWS]
    by_names = replace(reading, columns_at={})
    for index, cells in enumerate(rows):
        if index and PAIRED_ALIASES.keys() <= set(map(compared_name, cells)):
            continue  # below another row they are as likely its values
        if not isinstance(resolve_columns(cells, by_names), RowError):
            return index
    likely = _likely_index(rows)
    if not rows or isinstance(resolve_columns(rows[likely], reading), RowError):
        return None
    return likely


def _likely_index(rows: Sequence[Sequence[str]]) -> int:
    """The first row with more than one cell, because a title stands alone in its row.

    One of no cells could not be read, and may be the header.
    """
    for index, cells in enumerate(rows[:NUM_HEADER_ROWS]):
        if sum(bool(cell.strip()) for cell in cells) > 1 or not cells:
            return index
    return 0


def _first_lines(path: Path, encoding: Encoding, start: int) -> list[tuple[int, str | RowError]]:
    """Lines from number `start` on."""
    lines: list[tuple[int, str | RowError]] = []
    num_chars = 0
    numbered = iter_lines(path, encoding, splits_at_cr=True)
    for number, line in itertools.islice(numbered, start - 1, start - 1 + _MAX_LINES):
        lines.append((number, line))
        num_chars += 0 if isinstance(line, RowError) else len(line)
        if num_chars > _MAX_CHARS:
            break
    return lines


def _separator_line(lines: Sequence[tuple[int, str | RowError]]) -> tuple[int, str] | None:
    """Number of the line by which a file tells Excel its delimiter, and the delimiter."""
    for number, line in lines:
        if isinstance(line, RowError):
            return None
        if line.strip():
            match = _SEPARATOR_LINE.fullmatch(line)
            return None if match is None else (number, match.group(1))
    return None


def _split(
    lines: Sequence[tuple[int, str | RowError]], delimiter: str
) -> list[tuple[int, Sequence[str]]]:
    """Line and cells of each record that is not blank; no cells where it cannot be read."""
    first = lines[0][0] - 1 if lines else 0
    records = records_of(iter([(number - first, line) for number, line in lines]), delimiter)
    return [
        (number + first, () if isinstance(cells, RowError) else cells)
        for number, cells, _lines in itertools.islice(records, NUM_HEADER_ROWS)
    ]

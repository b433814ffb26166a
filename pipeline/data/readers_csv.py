"""Rows of CSV files: comma, semicolon, tab or bar, quoted as RFC 4180 says, nothing repaired."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.contracts.row_errors import RowError, excerpt
from pipeline.data.benchmarks.layouts import TableLayout
from pipeline.data.columns import resolve_columns, row_from_cells
from pipeline.data.encodings import Encoding
from pipeline.data.readers_json import MAX_ROW_BYTES, RawRow, iter_lines
from pipeline.data.reading import Reading

DELIMITERS = (",", ";", "\t", "|")

MAX_RECORD_LINES = 50_000
"""A quote that is not closed collects no more; no document in a cell has as many."""
KEPT_CHARS = 1 << 17
"""Of a record as written, which is shown and given back up to fewer."""

CsvRecord = tuple[int, list[str] | RowError, Sequence[str]]
"""Line a record begins on, its cells or what is wrong with it, and its lines as written, of a very
long one the first."""

# The module's limit is a global of the csv library; the default (131,072 characters) is less than
# a long document. Lines are bounded by `iter_lines`, so memory stays bounded.
csv.field_size_limit(MAX_ROW_BYTES)


def read_csv(
    path: Path,
    encoding: Encoding,
    reading: Reading,
    *,
    table: TableLayout | None = None,
) -> Iterator[RawRow | RowError]:
    """One raw row or error for each record that is not blank, in the file's order.

    A record may span lines; its line is the one it begins on. A damaged header ends the file.
    `table` says what the columns are where the file is known to be a benchmark's.
    """
    fields: Sequence[str] | None = None
    if table is not None and not table.has_header:
        fields = table.fields
    for line, cells, lines in table_records(path, encoding, reading):
        if isinstance(cells, RowError):
            yield cells
            if fields is None:
                return
        elif fields is None:
            resolved = table.fields if table else resolve_columns(cells, reading, line)
            if isinstance(resolved, RowError):
                yield resolved
                return
            fields = resolved
        elif len(cells) != len(fields):
            yield RowError(
                code="csv.columns",
                line=line,
                params={"found": len(cells), "expected": len(fields)},
                value_excerpt=excerpt("".join(lines).rstrip("\r\n")),
            )
        else:
            yield line, row_from_cells(fields, cells)


def table_records(path: Path, encoding: Encoding, reading: Reading) -> Iterator[CsvRecord]:
    """The header's record and those below it, as `iter_csv_records` has them.

    Rows above a header row that a person names are titles, and none of the table. A file that ends
    above it yields one error.
    """
    delimiter: str = reading.delimiter
    if delimiter == "auto":
        delimiter = sniff_delimiter(path, encoding)
    first = reading.header_row or 1
    is_empty = True
    for record in iter_csv_records(path, encoding, delimiter):
        if record[0] >= first:
            is_empty = False
            yield record
    if is_empty and first > 1:
        params = {"row": first}
        yield first, RowError(code="header.row_missing", line=first, params=params), ()


def iter_csv_records(path: Path, encoding: Encoding, delimiter: str) -> Iterator[CsvRecord]:
    """Line, cells or error, and the lines of the file for each record that is not blank.

    The lines are only valid until the next record; they are empty where decoding failed.
    """
    lines = _Lines(path, encoding)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = lines.number + 1
        lines.begin_record()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _LineRejectedError as exc:
            yield line, exc.error, ()
        except csv.Error:
            error = RowError(
                code="csv.quote",
                line=line,
                params={"lines": lines.number - line + 1},
                value_excerpt=excerpt(lines.last.strip()),
            )
            yield line, error, lines.taken
        else:
            if any(cell.strip() for cell in cells):
                yield line, cells, lines.taken


def sniff_delimiter(path: Path, encoding: Encoding) -> str:
    """The delimiter that splits the first line into the most columns; comma when none does."""
    for _, line in iter_lines(path, encoding):
        if isinstance(line, RowError):
            break
        if line.strip():
            widths = {d: len(next(csv.reader([line], delimiter=d))) for d in DELIMITERS}
            return max(DELIMITERS, key=lambda delimiter: widths[delimiter])
    return DELIMITERS[0]


class _LineRejectedError(Exception):
    """A line that the csv reader must not see."""

    def __init__(self, error: RowError) -> None:
        super().__init__(error.code)
        self.error = error


class _Lines:
    """Decoded lines for `csv.reader`; goes on after a line that was rejected.

    A generator could not: it is finished once it has raised.
    """

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self._lines = iter_lines(path, encoding)
        self.number = 0
        self.last = ""
        self.taken: list[str] = []
        """Lines given out since the record began, until they have `KEPT_CHARS`."""
        self._num_chars = 0
        self._end = MAX_RECORD_LINES

    def begin_record(self) -> None:
        """The next line is the first of a record."""
        self.taken.clear()
        self._num_chars = 0
        self._end = self.number + MAX_RECORD_LINES

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        if isinstance(line, RowError):
            raise _LineRejectedError(line)
        self.last = line
        if self._num_chars < KEPT_CHARS:
            self.taken.append(line)
            self._num_chars += len(line)
        if self.number > self._end:
            raise csv.Error("a record of too many lines")
        return line

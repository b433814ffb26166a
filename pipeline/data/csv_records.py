"""Records of delimited text, quoted as RFC 4180 says, nothing repaired."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.contracts.row_errors import RowError, excerpt
from pipeline.data.encodings import Encoding
from pipeline.data.text_lines import MAX_ROW_BYTES, iter_lines

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


def iter_csv_records(
    path: Path, encoding: Encoding, delimiter: str, *, shows_damage: bool = False
) -> Iterator[CsvRecord]:
    """Each record of the file that is not blank; see `records_of` and `iter_lines`."""
    lines = iter_lines(path, encoding, splits_at_cr=True, shows_damage=shows_damage)
    return records_of(lines, delimiter)


def records_of(
    numbered_lines: Iterator[tuple[int, str | RowError]], delimiter: str
) -> Iterator[CsvRecord]:
    """Line, cells or error, and the lines of the file for each record that is not blank.

    The lines are only valid until the next record; they are empty where decoding failed.
    """
    lines = _Lines(numbered_lines)
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
            if "".join(cells).strip():
                yield line, cells, lines.taken


class _LineRejectedError(Exception):
    """A line that the csv reader must not see."""

    def __init__(self, error: RowError) -> None:
        super().__init__(error.code)
        self.error = error


class _Lines:
    """Decoded lines for `csv.reader`; goes on after a line that was rejected.

    A generator could not: it is finished once it has raised.
    """

    def __init__(self, numbered_lines: Iterator[tuple[int, str | RowError]]) -> None:
        self._lines = numbered_lines
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

"""Rows of JSON Lines files: one object on each line."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.contracts.row_errors import RowError
from pipeline.data.encodings import Encoding
from pipeline.data.json_shapes import told_once
from pipeline.data.json_values import RawRow, parse_object
from pipeline.data.row_fields import InvalidRowError
from pipeline.data.text_lines import iter_lines


def read_json_lines(path: Path, encoding: Encoding) -> Iterator[RawRow | RowError]:
    """One raw row or error for each line that is not blank, in the file's order.

    Lines end as `text_lines` says, so U+2028 inside a text does not split it. Memory is bounded by
    `MAX_ROW_BYTES`, whatever the file holds.
    """
    return told_once(_rows(path, encoding))


def _rows(path: Path, encoding: Encoding) -> Iterator[RawRow | RowError]:
    for line_number, line in iter_lines(path, encoding):
        if isinstance(line, RowError):
            yield line
        elif line and not line.isspace():
            try:
                yield line_number, parse_object(line)
            except InvalidRowError as exc:
                yield exc.at_line(line_number)

"""Rows of JSON Lines files: one object on each line."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.contracts.row_errors import RowError
from pipeline.data.encodings import UTF8_BOM, Encoding, decodes_as
from pipeline.data.json_shapes import told_once
from pipeline.data.json_values import RawRow, parse_object
from pipeline.data.row_fields import InvalidRowError

MAX_ROW_BYTES = 16 << 20


def read_json_lines(path: Path, encoding: Encoding) -> Iterator[RawRow | RowError]:
    """One raw row or error for each line that is not blank, in the file's order.

    Lines end at LF only, so U+2028 inside a text does not split it. Memory is bounded by
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


def iter_lines(path: Path, encoding: Encoding) -> Iterator[tuple[int, str | RowError]]:
    """Each line with its number from 1, decoded; a line that cannot be decoded is an error.

    Splitting bytes at LF is safe in both encodings: no multi-byte character contains it.
    """
    whole_file_is_gb18030: bool | None = None
    line_number = 0
    with path.open("rb") as file:
        while line := file.readline(MAX_ROW_BYTES + 1):
            line_number += 1
            if line_number == 1:
                line = line.removeprefix(UTF8_BOM)
            if len(line) > MAX_ROW_BYTES and not line.endswith(b"\n"):
                while (rest := file.readline(MAX_ROW_BYTES)) and not rest.endswith(b"\n"):
                    pass
                yield line_number, too_long(line_number)
                continue
            try:
                text = line.decode(encoding)
            except UnicodeDecodeError as exc:
                if whole_file_is_gb18030 is None:
                    whole_file_is_gb18030 = encoding == "utf-8" and decodes_as(path, "gb18030")
                code = "row.encoding_gb18030" if whole_file_is_gb18030 else "row.encoding"
                excerpt = line[max(0, exc.start - 20) : exc.start + 20]
                error = InvalidRowError(
                    code,
                    value=excerpt.decode("ascii", "backslashreplace"),
                    byte=exc.start + 1,
                    encoding=encoding.upper(),
                )
                yield line_number, error.at_line(line_number)
            else:
                yield line_number, text


def too_long(line: int) -> RowError:
    """The error of a row that exceeds `MAX_ROW_BYTES`."""
    return RowError(code="row.too_long", line=line, params={"limit_mib": MAX_ROW_BYTES >> 20})

"""Lines of a text file, decoded one by one, so that a damaged one costs itself only."""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.contracts.row_errors import RowError
from pipeline.data.encodings import (
    Encoding,
    find_encoding,
    text_codec,
    without_mark,
)
from pipeline.data.row_fields import InvalidRowError

MAX_ROW_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 20
_FIRST_LINE_END = re.compile(rb"\r(?!\n)|\n|\r\n")
_LF = re.compile(r"(?<=\n)")
_LINE_ENDS = re.compile(r"(?<=\n)|(?<=\r)(?=[^\n])")


def iter_lines(
    path: Path,
    encoding: Encoding,
    *,
    splits_at_cr: bool | None = None,
    shows_damage: bool = False,
) -> Iterator[tuple[int, str | RowError]]:
    """Each line with its number from 1, decoded; a line that cannot be decoded is an error.

    With `shows_damage` it is its text with U+FFFD in the damaged places, so that a person can see
    and repair them; a row with that character is rejected wherever it is read.

    Lines end at LF. A CR alone ends one too where `splits_at_cr` says so; None finds out whether
    the file's first line ends so, as old Macintosh programs end them. Splitting bytes is safe: no
    character of several bytes contains either. Memory is bounded by `MAX_ROW_BYTES`.
    """
    if splits_at_cr is None:
        splits_at_cr = ends_lines_with_cr(path)
    if encoding == "utf-16":
        yield from _utf16_lines(path, splits_at_cr=splits_at_cr)
        return
    codec = text_codec(path, encoding)
    is_told_as_gb18030: bool | None = None
    with path.open("rb") as file:
        for number, line in enumerate(byte_lines(file, splits_at_cr=splits_at_cr), start=1):
            if line is None:
                yield number, too_long(number)
                continue
            if number == 1:
                line = without_mark(line)
            try:
                text = line.decode(codec)
            except UnicodeDecodeError as exc:
                if shows_damage:
                    yield number, line.decode(codec, "replace")
                    continue
                if is_told_as_gb18030 is None:
                    is_told_as_gb18030 = is_gb18030_instead(path, encoding)
                around = line[max(0, exc.start - 20) : exc.start + 20]
                error = InvalidRowError(
                    "row.encoding_gb18030" if is_told_as_gb18030 else "row.encoding",
                    value=around.decode("ascii", "backslashreplace"),
                    byte=exc.start + 1,
                    encoding=encoding.upper(),
                )
                yield number, error.at_line(number)
            else:
                if encoding == "gb18030" and _is_utf8(line):
                    if shows_damage:
                        yield number, line.decode("utf-8")
                        continue
                    error = InvalidRowError("row.encoding_mixed", value=line.decode("utf-8"))
                    yield number, error.at_line(number)
                else:
                    yield number, text


def byte_lines(file: BinaryIO, *, splits_at_cr: bool = False) -> Iterator[bytes | None]:
    """Each line with its end; None for one longer than `MAX_ROW_BYTES`, of which none is kept."""
    rest: bytes | None = b""
    while line := file.readline(_CHUNK_BYTES):
        if splits_at_cr:
            if rest and rest.endswith(b"\r") and line != b"\n":
                yield rest
                rest = b""
            cr = line.find(b"\r", 0, -1)
            if cr >= 0 and not (cr == len(line) - 2 and line.endswith(b"\n")):
                *whole, line = line.splitlines(keepends=True)
                for piece in whole:
                    yield _joined(rest, piece)
                    rest = b""
        if rest == b"" and line.endswith(b"\n"):
            yield line
            continue
        rest = _joined(rest, line)
        if line.endswith(b"\n"):
            yield rest
            rest = b""
    if rest != b"":
        yield rest


def _joined(before: bytes | None, line: bytes) -> bytes | None:
    if before is None or len(before) + len(line) > MAX_ROW_BYTES:
        return None
    return before + line


def too_long(line: int) -> RowError:
    """The error of a row that exceeds `MAX_ROW_BYTES`."""
    return RowError(code="row.too_long", line=line, params={"limit_mib": MAX_ROW_BYTES >> 20})


def ends_lines_with_cr(path: Path) -> bool:
    """The first line ends with a CR alone."""
    with path.open("rb") as file:
        head = file.read(_CHUNK_BYTES).replace(b"\0", b"")  # of UTF-16
    match = _FIRST_LINE_END.search(head)
    return match is not None and match.group() == b"\r"


def is_gb18030_instead(path: Path, encoding: Encoding) -> bool:
    """The file is read as UTF-8, and is GB18030 by all that can be told."""
    return encoding == "utf-8" and find_encoding(path).encoding == "gb18030"


def _is_utf8(line: bytes) -> bool:
    """Chinese in UTF-8: GBK text is hardly ever valid in it by accident, and never by intent."""
    if line.isascii():
        return False
    try:
        return max(line.decode("utf-8")) >= "\u0800"
    except UnicodeDecodeError:
        return False


def _utf16_lines(path: Path, *, splits_at_cr: bool) -> Iterator[tuple[int, str | RowError]]:
    # Half characters go on to the check of the row's texts, which names them.
    decoder = codecs.getincrementaldecoder(text_codec(path, "utf-16"))("surrogatepass")
    ends = _LINE_ENDS if splits_at_cr else _LF
    number, text, is_complete = 1, "", False
    with path.open("rb") as file:
        while not is_complete:
            chunk = file.read(_CHUNK_BYTES)
            is_complete = not chunk
            try:
                text += decoder.decode(chunk, final=is_complete)
            except UnicodeDecodeError:  # an odd byte at the end
                params: dict[str, str | int] = {"byte": 2 * len(text) + 1, "encoding": "UTF-16"}
                yield number, RowError(code="row.encoding", line=number, params=params)
                return
            *lines, text = ends.split(text)
            for line in lines:
                yield number, line.removeprefix("\ufeff") if number == 1 else line
                number += 1
            if 2 * len(text) > MAX_ROW_BYTES:
                yield number, too_long(number)
                return
    if text:
        yield number, text.removeprefix("\ufeff") if number == 1 else text

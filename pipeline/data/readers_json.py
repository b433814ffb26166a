"""Rows of JSON Lines files and JSON arrays, with the strictness that two parsers agree on.

Duplicate keys, NaN and Infinity are accepted by the standard library and read differently by other
programs; here they are errors of their row.
"""

import codecs
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from pipeline.contracts.row_error_phrases import JSON_SYNTAX_REASONS
from pipeline.contracts.row_errors import RowError
from pipeline.data.encodings import UTF8_BOM, Encoding, decodes_as
from pipeline.data.row_fields import InvalidRowError, type_name

MAX_ROW_BYTES = 16 << 20
MAX_DEPTH = 64
MAX_INTEGER_DIGITS = 18
"""Fits 64 bits, which Parquet and both databases store."""
_READ_CHARS = 1 << 16
_WHITESPACE = re.compile(r"[ \t\n\r]*")

RawRow = tuple[int, dict[str, Any]]
"""Line on which the row begins, and its fields."""


def read_json_lines(path: Path, encoding: Encoding) -> Iterator[RawRow | RowError]:
    """One raw row or error for each line that is not blank, in the file's order.

    Lines end at LF only, so U+2028 inside a text does not split it. Memory is bounded by
    `MAX_ROW_BYTES`, whatever the file holds.
    """
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


def read_json_array(path: Path, encoding: Encoding) -> Iterator[RawRow | RowError]:
    """One raw row or error for each element, in the file's order, without holding the array.

    A row that parses but breaks a rule is an error of that row; broken syntax ends the file with
    `file.array_syntax`, because nothing says where the next element begins.
    """
    window = _Window(path, encoding)
    try:
        yield from _array_elements(window)
    except json.JSONDecodeError as exc:
        line, column = window.place(exc.pos)
        error = InvalidRowError(
            "file.array_syntax",
            value=exc.doc[exc.pos : exc.pos + 80],
            char=column,
            reason=_syntax_reason(exc),
        )
        yield error.at_line(line)
    except InvalidRowError as exc:  # a row whose end cannot be found
        line = window.place(window.position)[0]
        yield exc.at_line(line)
        yield RowError(code="file.array_rest_unread", line=line)
    except UnicodeDecodeError as exc:
        is_gb18030 = encoding == "utf-8" and decodes_as(path, "gb18030")
        code = "row.encoding_gb18030" if is_gb18030 else "row.encoding"
        line = window.place(len(window.text))[0]
        yield InvalidRowError(code, byte=exc.start + 1, encoding=encoding.upper()).at_line(line)
        yield RowError(code="file.array_rest_unread", line=line)
    finally:
        window.close()


class _Window:
    """The part of a text file that is being parsed; grows on demand, forgets what was read."""

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self._file = path.open("rb")
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")
        self.text = ""
        self.position = 0
        self.is_complete = False
        self._line = 1
        self._line_start = 0
        """Where the current line starts in `text`; negative once its beginning was forgotten."""
        self.grow()
        self.text = self.text.removeprefix("\ufeff")

    def grow(self) -> None:
        """At least twice as much unread text is held, or the file is at its end."""
        self._forget()
        chunk = self._file.read(max(_READ_CHARS, len(self.text)))
        self.is_complete = not chunk
        self.text += self._decoder.decode(chunk, final=self.is_complete)

    def _forget(self) -> None:
        self._line, column = self.place(self.position)
        self._line_start = 1 - column
        self.text = self.text[self.position :]
        self.position = 0

    def place(self, position: int) -> tuple[int, int]:
        """Line and column, from 1, of a position in `text`."""
        newlines = self.text.count("\n", 0, position)
        start = self.text.rfind("\n", 0, position) + 1 if newlines else self._line_start
        return self._line + newlines, position - start + 1

    def next_character(self) -> str:
        """The next character that is not white space, not consumed; empty at the end."""
        while True:
            match = _WHITESPACE.match(self.text, self.position)
            self.position = match.end() if match else self.position
            if self.position < len(self.text) or self.is_complete:
                return self.text[self.position : self.position + 1]
            self.grow()

    def close(self) -> None:
        self._file.close()


def _array_elements(window: _Window) -> Iterator[RawRow | RowError]:
    window.next_character()
    window.position += 1  # the opening bracket, which made the file an array
    if window.next_character() != "]":
        while True:
            yield _next_element(window)
            separator = window.next_character()
            if separator == "]":
                break
            if separator != ",":
                raise json.JSONDecodeError("Expecting ',' delimiter", window.text, window.position)
            window.position += 1
    window.position += 1
    if window.next_character():
        raise json.JSONDecodeError("Extra data", window.text, window.position)


def _next_element(window: _Window) -> RawRow | RowError:
    window.next_character()
    line = window.place(window.position)[0]
    error: InvalidRowError | None = None
    while True:
        # After a broken rule the lenient decoder only looks for the end of the element.
        decoder = _STRICT if error is None else _LENIENT
        try:
            value, end = decoder.raw_decode(window.text, window.position)
        except json.JSONDecodeError:
            if window.is_complete:
                raise
            if len(window.text) - window.position > MAX_ROW_BYTES:
                raise InvalidRowError("row.too_long", limit_mib=MAX_ROW_BYTES >> 20) from None
            window.grow()
            continue
        except InvalidRowError as exc:
            error = exc
            continue
        except RecursionError:
            raise InvalidRowError("json.too_deep", limit=MAX_DEPTH) from None
        # A number that touches the end of the window may go on behind it.
        if end == len(window.text) and not window.is_complete:
            window.grow()
            continue
        source = window.text[window.position : end]
        window.position = end
        if error is not None:
            return error.at_line(line)
        try:
            return line, _checked_object(value, source)
        except InvalidRowError as exc:
            return exc.at_line(line)


def parse_object(line: str) -> dict[str, Any]:
    """The one object that `line` holds.

    Raises:
        InvalidRowError: it holds something else, or breaks a rule of this module.
    """
    try:
        value = _STRICT.decode(line)
    except json.JSONDecodeError as exc:
        raise InvalidRowError(
            "json.syntax",
            value=line[max(0, exc.pos - 40) : exc.pos + 40].strip(),
            char=exc.pos + 1,
            reason=_syntax_reason(exc),
        ) from None
    except RecursionError:
        raise InvalidRowError("json.too_deep", value=line, limit=MAX_DEPTH) from None
    return _checked_object(value, line)


def _checked_object(value: Any, source: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRowError("json.not_object", value=source, found=type_name(value))
    # Only a text with that many brackets can be that deep; counting them is nearly free.
    if source.count("{") + source.count("[") > MAX_DEPTH and _depth_exceeds(value, MAX_DEPTH):
        raise InvalidRowError("json.too_deep", value=source, limit=MAX_DEPTH)
    return value


def _depth_exceeds(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for container in level
            if isinstance(container, dict | list)
            for child in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return False
    return any(isinstance(child, dict | list) for child in level)


def _syntax_reason(error: json.JSONDecodeError) -> str:
    for prefix, reason in JSON_SYNTAX_REASONS.items():
        if error.msg.startswith(prefix):
            return reason
    return error.msg


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InvalidRowError("json.duplicate_key", key, value=key, key=key[:80])
            seen.add(key)
    return fields


def _reject_constant(name: str) -> NoReturn:
    raise InvalidRowError("json.number", value=name)


def _finite_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise InvalidRowError("json.number", value=digits)
    return number


def _short_integer(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_INTEGER_DIGITS:
        raise InvalidRowError("json.number", value=digits)
    return int(digits)


_STRICT = json.JSONDecoder(
    object_pairs_hook=_object_without_duplicates,
    parse_constant=_reject_constant,
    parse_float=_finite_float,
    parse_int=_short_integer,
)
_LENIENT = json.JSONDecoder(parse_int=lambda digits: 0)

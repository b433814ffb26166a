"""Rows of JSON files in which they do not stand one on each line, without holding the file.

What is read: a list of rows; an object around one such list, whatever else it says; objects and
lists one after another, with or without a comma between them; a single object over many lines. A
list of turns is one row.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.contracts.row_errors import RowError
from pipeline.data.encodings import Encoding
from pipeline.data.json_shapes import (
    MAX_KEYS_NAMED,
    WRAPPER_NAMES,
    first_list_key,
    holds_objects_only,
    is_dataset_info,
    is_wrapper,
    list_keys,
    several_lists,
    told_once,
)
from pipeline.data.json_size import check_num_values, has_too_many_values
from pipeline.data.json_values import (
    LENIENT,
    LONG_IDS,
    MAX_DEPTH,
    STRICT,
    RawRow,
    checked_object,
    syntax_reason,
    without_long_integers,
)
from pipeline.data.json_window import DAMAGE, JsonWindow
from pipeline.data.row_fields import InvalidRowError
from pipeline.data.text_lines import MAX_ROW_BYTES, is_gb18030_instead
from pipeline.data.turns import is_turn

MAX_DECIDED_CHARS = 1 << 20
"""An object that is longer is taken for one around a list of rows by the name of the list."""
_OPENING = re.compile(r"\[\s*")


class _Decoded(NamedTuple):
    """A value of the window, which still stands at its beginning."""

    value: Any
    start: int
    end: int
    error: InvalidRowError | None
    """The rule it breaks; `value` is then only good for its shape."""


def read_json_array(path: Path, encoding: Encoding) -> Iterator[RawRow | RowError]:
    """One raw row or error for each row, in the file's order.

    A row that parses but breaks a rule is an error of that row; broken syntax ends the file with
    `file.array_syntax`, because nothing says where the next row begins.
    """
    return told_once(_rows(path, encoding))


def _rows(path: Path, encoding: Encoding) -> Iterator[RawRow | RowError]:
    window = JsonWindow(path, encoding)
    try:
        yield from _values(window)
    except json.JSONDecodeError as exc:
        line, column = window.place(exc.pos)
        error = InvalidRowError(
            "file.array_syntax",
            value=exc.doc[exc.pos : exc.pos + 80],
            char=column,
            reason=syntax_reason(exc),
        )
        yield error.at_line(line)
    except InvalidRowError as exc:  # a row whose end cannot be found
        line = window.place(window.position)[0]
        yield exc.at_line(line)
        yield RowError(code="file.array_rest_unread", line=line)
    except UnicodeDecodeError as exc:
        code = "row.encoding_gb18030" if is_gb18030_instead(path, encoding) else "row.encoding"
        line = window.place(len(window.text))[0]
        yield InvalidRowError(code, byte=exc.start + 1, encoding=encoding.upper()).at_line(line)
        yield RowError(code="file.array_rest_unread", line=line)
    finally:
        window.close()


def _values(window: JsonWindow) -> Iterator[RawRow | RowError]:
    """The rows of all values of the file."""
    is_first = True
    while character := window.next_character():
        if character == "[":
            yield from _rows_of_list(window)
        elif character == "{":
            yield from _rows_of_object(window, is_first=is_first)
        else:
            message = "Expecting value" if is_first else "Extra data"
            raise json.JSONDecodeError(message, window.text, window.position)
        is_first = False
        if window.next_character() == ",":
            window.position += 1


def _rows_of_list(window: JsonWindow) -> Iterator[RawRow | RowError]:
    if is_turn(_first_element(window)):
        yield _row(window, _decoded(window, MAX_ROW_BYTES))
        return
    window.position += 1
    if window.next_character() != "]":
        while True:
            window.next_character()
            yield _row(window, _decoded(window, MAX_ROW_BYTES))
            separator = window.next_character()
            if separator == "]":
                break
            if separator != ",":
                raise json.JSONDecodeError("Expecting ',' delimiter", window.text, window.position)
            window.position += 1
            window.next_character()
    window.position += 1


def _rows_of_object(window: JsonWindow, *, is_first: bool) -> Iterator[RawRow | RowError]:
    """The object as a row, or the rows of the list in it."""
    try:
        found = _decoded(window, MAX_DECIDED_CHARS)
    except InvalidRowError:
        key = first_list_key(window.text, window.position)
        if key is not None and key.casefold() in WRAPPER_NAMES:
            yield from _rows_inside(window)
            return
        try:
            found = _decoded(window, MAX_ROW_BYTES)
        except InvalidRowError as exc:
            if exc.code != "row.too_long" or key is None:
                raise
            yield from _rows_inside(window)
            return
    value, line = found.value, window.place(window.position)[0]
    is_alone = is_first and _is_last(window, found)
    found = found._replace(end=window.position + found.end - found.start)
    keys = list_keys(value) if is_alone or is_wrapper(value) else []
    if len(keys) > 1:
        window.position = found.end
        yield several_lists(keys, line)
    elif keys:
        yield from _rows_inside(window)
    elif is_dataset_info(value):
        window.position = found.end
        yield RowError(code="file.dataset_info", line=line)
    else:
        row = _row(window, found)
        if is_alone and holds_objects_only(value):
            params = {"keys": ", ".join(list(value)[:MAX_KEYS_NAMED])[:200]}
            row = RowError(code="file.json_nested", line=line, params=params)
        yield row


def _is_last(window: JsonWindow, found: _Decoded) -> bool:
    """Nothing follows the value, at which the window's position stays."""
    length = found.end - found.start
    while not window.text[window.position + length :].strip():
        if window.is_complete:
            return True
        if len(window.text) > 2 * MAX_DECIDED_CHARS:
            return False  # white space without end must not be held
        window.grow()
    return False


def _rows_inside(window: JsonWindow) -> Iterator[RawRow | RowError]:
    """The rows of the one list of rows in an object; its other members are passed over."""
    line = window.place(window.position)[0]
    read: list[str] = []
    window.position += 1
    while (character := window.next_character()) != "}":
        if character != '"':
            message = "Expecting property name enclosed in double quotes"
            raise json.JSONDecodeError(message, window.text, window.position)
        key = _passed(window)
        if window.next_character() != ":":
            raise json.JSONDecodeError("Expecting ':' delimiter", window.text, window.position)
        window.position += 1
        first = _first_element(window) if window.next_character() == "[" else None
        if isinstance(first, dict | list) and not is_turn(first):
            read.append(str(key))
            if len(read) > 1:
                yield several_lists(read, line)
            yield from _rows_of_list(window)
        else:
            _passed(window)
        if window.next_character() == ",":
            window.position += 1
        elif window.next_character() != "}":
            raise json.JSONDecodeError("Expecting ',' delimiter", window.text, window.position)
    window.position += 1


def _passed(window: JsonWindow) -> Any:
    """The value at the window's position, which moves behind it."""
    found = _decoded(window, MAX_ROW_BYTES)
    window.position = found.end
    return found.value


def _first_element(window: JsonWindow) -> Any:
    """The first element of the list at the window's position, which stays; None if it has none."""
    while True:
        match = _OPENING.match(window.text, window.position)
        start = match.end() if match else window.position
        if start < len(window.text):
            try:
                return LENIENT.raw_decode(window.text, start)[0]
            except json.JSONDecodeError:
                pass
            except RecursionError:
                return None
        unread = window.text[window.position :]
        if window.is_complete or len(unread) > MAX_ROW_BYTES or has_too_many_values(unread):
            return None
        window.grow()


def _row(window: JsonWindow, found: _Decoded) -> RawRow | RowError:
    """The value as a row; the window's position moves behind it."""
    line = window.place(window.position)[0]
    source = window.text[window.position : found.end]
    window.position = found.end
    damage = DAMAGE.search(source) if window.is_damaged else None
    if damage is not None:
        return _damaged(source, damage.start(), window.codec).at_line(line)
    if found.error is not None:
        return found.error.at_line(line)
    try:
        check_num_values(source)
        return line, checked_object(found.value, source)
    except InvalidRowError as exc:
        return exc.at_line(line)


def _damaged(source: str, position: int, codec: str) -> InvalidRowError:
    before = source[:position].encode(codec, "surrogateescape")
    around = source[max(0, position - 20) : position + 20]
    return InvalidRowError(
        "row.encoding_in_row",
        value=DAMAGE.sub("\ufffd", around),
        byte=len(before) + 1,
        encoding=codec.upper(),
    )


def _decoded(window: JsonWindow, limit: int) -> _Decoded:
    """The value at the window's position, which stays.

    Raises:
        json.JSONDecodeError: the file breaks off or is no JSON here.
        InvalidRowError: `row.too_long`, longer than `limit` characters; `json.too_deep`;
            `json.too_many_values`.
    """
    window.next_character()
    error: InvalidRowError | None = None
    decoders = iter((STRICT, LONG_IDS, LENIENT))
    decoder = next(decoders)
    while True:
        try:
            value, end = decoder.raw_decode(window.text, window.position)
            if decoder is LONG_IDS:
                without_long_integers(value)
        except json.JSONDecodeError:
            if window.is_complete:
                raise
            if len(window.text) - window.position > limit:
                raise InvalidRowError("row.too_long", limit_mib=MAX_ROW_BYTES >> 20) from None
            check_num_values(window.text[window.position :])
            window.grow()
            continue
        except InvalidRowError as exc:
            # After a broken rule the lenient decoder only looks for the end of the value.
            error = exc
            decoder = next(decoders)
            continue
        except RecursionError:
            raise InvalidRowError("json.too_deep", limit=MAX_DEPTH) from None
        # A number that touches the end of the window may go on behind it.
        if end == len(window.text) and not window.is_complete:
            window.grow()
            continue
        return _Decoded(value, window.position, end, error if decoder is LENIENT else None)

"""One JSON value as a row, with the strictness that two parsers agree on.

Duplicate keys, NaN and Infinity are accepted by the standard library and read differently by other
programs; here they are errors of their row.
"""

import json
import math
from typing import Any, NoReturn

from pipeline.contracts.row_error_phrases import JSON_SYNTAX_REASONS
from pipeline.data.column_aliases import ALIASES
from pipeline.data.json_size import check_num_values
from pipeline.data.row_fields import InvalidRowError, type_name
from pipeline.data.turns import is_turn

MAX_DEPTH = 64
MAX_INTEGER_DIGITS = 18
"""Fits 64 bits, which Parquet and both databases store."""
ID_KEYS = frozenset(
    name for aliases in ALIASES.values() for name, field in aliases.items() if field == "id"
)

RawRow = tuple[int, dict[str, Any]]
"""Line on which the row begins, and its fields."""


def parse_object(line: str) -> dict[str, Any]:
    """The one row that `line` holds.

    Raises:
        InvalidRowError: it holds something else, or breaks a rule of this module.
    """
    check_num_values(line)
    try:
        value = _decoded(line)
    except json.JSONDecodeError as exc:
        raise InvalidRowError(
            "json.syntax",
            value=line[max(0, exc.pos - 40) : exc.pos + 40].strip(),
            char=exc.pos + 1,
            reason=syntax_reason(exc),
        ) from None
    except RecursionError:
        raise InvalidRowError("json.too_deep", value=line, limit=MAX_DEPTH) from None
    return checked_object(value, line)


def _decoded(line: str) -> Any:
    try:
        return STRICT.decode(line)
    except InvalidRowError as exc:
        if exc.code != "json.number":
            raise
        return without_long_integers(LONG_IDS.decode(line))


def checked_object(value: Any, source: str) -> dict[str, Any]:
    """The row that a decoded value is: an object, or a list of turns, which is a conversation.

    Raises:
        InvalidRowError: it is something else, or nested too deep.
    """
    if isinstance(value, list) and value and all(map(is_turn, value)):
        value = {"messages" if "role" in value[0] else "conversations": value}
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


def syntax_reason(error: json.JSONDecodeError) -> str:
    """The decoder's message, in words an expert can act upon."""
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


class _LongInteger(str):
    """The digits of a whole number that 64 bits do not hold."""

    __slots__ = ()


def _integer_or_digits(digits: str) -> int | _LongInteger:
    return int(digits) if len(digits.lstrip("-")) <= MAX_INTEGER_DIGITS else _LongInteger(digits)


def _object_with_long_ids(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = _object_without_duplicates(pairs)
    for key in ID_KEYS & fields.keys():
        if isinstance(fields[key], _LongInteger):
            fields[key] = str(fields[key])
    return fields


def without_long_integers(value: Any) -> Any:
    """`value`, which `LONG_IDS` decoded, unchanged.

    Raises:
        InvalidRowError: `json.number`: one that is no id is left.
    """
    if isinstance(value, _LongInteger):
        raise InvalidRowError("json.number", value=str(value))
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            without_long_integers(child)
    return value


STRICT = json.JSONDecoder(
    object_pairs_hook=_object_without_duplicates,
    parse_constant=_reject_constant,
    parse_float=_finite_float,
    parse_int=_short_integer,
)
LONG_IDS = json.JSONDecoder(
    object_pairs_hook=_object_with_long_ids,
    parse_constant=_reject_constant,
    parse_float=_finite_float,
    parse_int=_integer_or_digits,
)
"""For values that `STRICT` refuses because of a number: ids are names, however many digits."""
LENIENT = json.JSONDecoder(parse_int=lambda digits: 0)
"""Finds the end of a value that breaks a rule."""

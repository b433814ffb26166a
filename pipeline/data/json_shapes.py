"""How a JSON file holds its rows: one a line, in a list, in an object around it, or in a row."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pipeline.contracts.row_errors import RowError
from pipeline.data.column_aliases import ALIASES
from pipeline.data.column_names import compared_name
from pipeline.data.json_values import LENIENT, RawRow
from pipeline.data.turns import is_turn

WRAPPER_NAMES = frozenset(
    {"data", "rows", "row", "examples", "items", "records", "results", "list", "samples"}
    | {"dataset", "datasets", "questions", "instances", "entries", "documents", "content"}
    | {"train", "test", "validation", "\u6570\u636e", "\u5217\u8868", "\u9898\u76ee\u5217\u8868"}
)
"""Keys, in lower case, under which programs write the list of rows."""
NUM_LINES_LOOKED_AT = 6
MAX_HELD = 10_000
MAX_KEYS_NAMED = 5

_TEXT_FIELDS = frozenset({"text", "instruction", "input", "output", "question", "answer"})
_ROW_KEYS = frozenset(
    {*_TEXT_FIELDS, "choices"}
    | {name for names in ALIASES.values() for name, field in names.items() if field in _TEXT_FIELDS}
)
_SOURCE_KEYS = frozenset({"file_name", "hf_hub_url", "ms_hub_url", "script_url", "om_hub_url"})
_MEMBER = re.compile(r'[\s,{]*"((?:[^"\\]|\\.)*)"\s*:\s*')
_LIST_OF_ROWS = re.compile(r"\[\s*[{\[]")


def list_keys(value: Mapping[str, Any]) -> list[str]:
    """Keys of an object under which lists of rows stand; none where the object is itself a row."""
    if is_row(value):
        return []
    found = [name for name, item in value.items() if _is_list_of_rows(item)]
    empty = [name for name, item in value.items() if item == []]
    if not found and len(empty) == 1 and empty[0].casefold() in WRAPPER_NAMES:
        return empty
    return found


def is_wrapper(value: Mapping[str, Any]) -> bool:
    """The object is one around a list of rows by the name of its list, too."""
    keys = list_keys(value)
    return bool(keys) and all(key.casefold() in WRAPPER_NAMES for key in keys)


def is_row(value: Mapping[str, Any]) -> bool:
    """The object has a text that only a row has, or turns."""
    return any(
        (isinstance(item, str) and compared_name(name) in _ROW_KEYS)
        or (name in {"messages", "conversations"} and isinstance(item, list))
        for name, item in value.items()
    )


def is_dataset_info(value: Mapping[str, Any]) -> bool:
    """The object is LLaMA-Factory's list of data sets."""
    return bool(value) and all(
        isinstance(item, dict) and not _SOURCE_KEYS.isdisjoint(item) for item in value.values()
    )


def holds_objects_only(value: Mapping[str, Any]) -> bool:
    """The object's values are objects: rows under their ids, or columns of a data frame."""
    return bool(value) and all(isinstance(item, dict) for item in value.values())


def first_list_key(text: str, position: int = 0) -> str | None:
    """The key of the first list of rows in an object that goes on behind `text`.

    None where a text that only a row has stands before it, or none is found.
    """
    while match := _MEMBER.match(text, position):
        position = match.end()
        rows = _LIST_OF_ROWS.match(text, position)
        if rows:
            try:
                element, _ = LENIENT.raw_decode(text, rows.end() - 1)
            except (json.JSONDecodeError, RecursionError):
                element = None
            return None if is_turn(element) else match[1]
        try:
            value, position = LENIENT.raw_decode(text, position)
        except (json.JSONDecodeError, RecursionError):
            return None
        if is_row({match[1]: value}):
            return None
    return None


def is_spread(head: str, *, is_whole: bool) -> bool:
    """The rows of a JSON file that begins with `head` do not stand one on each line.

    Args:
        head: not blank.
        is_whole: it is the whole file.
    """
    lines = [line.strip() for line in head.split("\n")]
    is_cut = not is_whole and len(lines) == 1
    if not is_whole and len(lines) > 1:
        lines.pop()
    lines = [line for line in lines if line][:NUM_LINES_LOOKED_AT]
    try:
        value, end = LENIENT.raw_decode(lines[0])
    except (json.JSONDecodeError, RecursionError):
        if is_cut:
            key = first_list_key(lines[0])
            return key is not None and key.casefold() in WRAPPER_NAMES
        return len(lines) > 1 and all(
            _goes_on("\n".join(lines[:number])) for number in range(1, len(lines) + 1)
        )
    rest = lines[0][end:].lstrip()
    if rest:
        return rest == "," or rest.startswith(("{", ",{"))
    if not isinstance(value, dict):
        return isinstance(value, list) and len(lines) == 1
    if len(lines) > 1:
        return is_wrapper(value)
    return bool(list_keys(value)) or holds_objects_only(value)


def _goes_on(text: str) -> bool:
    """The text is the beginning of a JSON value, or such a value with more behind it."""
    try:
        LENIENT.raw_decode(text)
    except json.JSONDecodeError as exc:
        return exc.pos >= len(text)
    except RecursionError:
        return False
    return True


def told_once(items: Iterable[RawRow | RowError]) -> Iterator[RawRow | RowError]:
    """The items; where the first are no objects, and no object is among them, one error for all."""
    items = iter(items)
    held: list[RowError] = []
    for item in items:
        if isinstance(item, RowError) and item.code == "json.not_object":
            held.append(item)
            if len(held) < MAX_HELD:
                continue
            break  # so many rows that are none were not meant as rows
        yield from held
        yield item
        yield from items
        return
    if len(held) > 1:
        params = {"found": held[0].params["found"]}
        yield RowError(code="file.json_not_objects", line=held[0].line, params=params)
    else:
        yield from held


def several_lists(keys: list[str], line: int) -> RowError:
    """The error of an object with more than one list of rows."""
    params = {"keys": ", ".join(keys[:MAX_KEYS_NAMED])[:200]}
    return RowError(code="file.layout_several_lists", line=line, params=params)


def _is_list_of_rows(item: object) -> bool:
    if not isinstance(item, list) or not item or is_turn(item[0]):
        return False
    return isinstance(item[0], dict | list)

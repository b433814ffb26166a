"""Cells of a table that hold JSON: turns, choices and `meta`, where a version was given out."""

import json
from typing import Any

JSON_FIELDS = frozenset({"messages", "history", "choices", "other_answers", "meta"})
"""Columns of these names may hold JSON."""


def json_cell(field: str, cell: str) -> Any:
    """The list (of `meta` the object) that the cell holds; else its text, which no field takes.

    A text in `meta` that does not begin like an object is a note that a person has written: it
    becomes the entry `meta` of the row's own.
    """
    start, kind = ("{", dict) if field == "meta" else ("[", list)
    if not cell.lstrip().startswith(start):
        return {"meta": cell} if field == "meta" else cell
    try:
        held = _STRICT.decode(cell)
    except (ValueError, RecursionError):
        return cell
    return held if isinstance(held, kind) else cell


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found


def _refused(text: str) -> Any:
    raise ValueError(f"{text} is no number that can be stored")


# As strict as rows of JSON Lines (`readers_json`), which this module cannot import: they know the
# names of columns.
_STRICT = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refused)

"""The choices of a question: a list, letters with a text each, or all of them in one cell."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pipeline.contracts.row_error_phrases import VALUE_TYPE_NAMES
from pipeline.data.row_fields import InvalidRowError, text_field, wrong_type

LETTERS = "ABCDEFGH"
_MARKS = (
    re.compile(r"[(\uff08\[\u3010]?([A-H])[.\uff0e\u3001:\uff1a)\uff09\]\u3011]+"),
    re.compile(r"(?:(?<=\s)|^)[(\uff08\[\u3010]?([A-H])[.\uff0e\u3001:\uff1a)\uff09\]\u3011]+"),
)
"""What stands before a choice in a cell, anywhere or only after white space."""
_ENDS = " \t\r\n;\uff1b,\uff0c|"


def has_choices(row: Mapping[str, Any]) -> bool:
    """The row says what can be chosen, well or badly."""
    return row.get("choices") not in (None, "") or any(
        row.get(letter) not in (None, "") for letter in LETTERS
    )


def choices_of(row: Mapping[str, Any]) -> list[str]:
    """The texts of the choices, as written.

    Raises:
        InvalidRowError: one of them is no text, or a cell does not tell where each begins.
    """
    listed = row.get("choices")
    if listed not in (None, ""):
        return _listed(listed)
    # Spreadsheets leave the cells of unused choices at the end empty.
    letters = [letter for letter in LETTERS if row.get(letter) not in (None, "")]
    if not letters:
        return []
    used = LETTERS[: LETTERS.find(letters[-1]) + 1]
    return [text_field(row, letter, required=True) for letter in used]


def _listed(value: object) -> list[str]:
    if isinstance(value, str):
        value = _split(text_field({"choices": value}, "choices", required=True))
    if isinstance(value, dict) and value and "".join(value) == LETTERS[: len(value)]:
        value = list(value.values())
    if not isinstance(value, list):
        raise wrong_type("choices", value, VALUE_TYPE_NAMES[list])
    return [
        text_field(
            {"choice": _text(choice, index)}, "choice", required=True, column=f"choices.{index}"
        )
        for index, choice in enumerate(value)
    ]


def _text(choice: object, index: int) -> object:
    """The text of a choice that is an object of its letter and its text; any other as it is."""
    if isinstance(choice, dict) and len(choice) == 2 and index < len(LETTERS):
        letter, text = choice.values()
        if letter == LETTERS[index]:
            return text
        if text == LETTERS[index]:
            return letter
    return choice


def _split(cell: str) -> list[Any]:
    """The choices in a cell: a JSON list, behind their letters, on lines, or between `|`."""
    if cell.lstrip().startswith("["):
        try:
            listed = json.loads(cell)
        except ValueError:
            listed = None
        if isinstance(listed, list):
            return listed
    cell = cell.strip()
    for mark in _MARKS:
        found = list(mark.finditer(cell))
        letters = "".join(match[1] for match in found)
        if len(found) > 1 and letters == LETTERS[: len(found)] and not cell[: found[0].start()]:
            ends = [match.start() for match in found[1:]] + [len(cell)]
            return [
                cell[match.end() : end].strip(_ENDS) for match, end in zip(found, ends, strict=True)
            ]
    for separator in ("\n", "|"):
        parts = [part.strip() for part in cell.split(separator)]
        parts = [part for part in parts if part]
        if len(parts) > 1:
            return parts
    raise InvalidRowError("row.choices_cell", "choices", value=cell)

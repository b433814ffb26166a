"""Signs that a text was damaged by a wrong conversion before its file was written."""

from collections.abc import Mapping
from typing import Any

from pipeline.data.row_fields import InvalidRowError

ACCEPTABLE = "row.mojibake"
"""A person may say that the texts are about such signs, or that they are wanted as they are."""
# U+FFFD is what a lenient decoder writes; the others are its UTF-8 bytes read as GBK or Latin-1.
_SIGNS = ("\ufffd", "\u951f\u65a4\u62f7", "\u00ef\u00bf\u00bd")


def check_undamaged(row: Mapping[str, Any]) -> None:
    """Every text of the row, however deep, is looked at.

    Raises:
        InvalidRowError: `row.mojibake`, at the first that holds such a sign.
    """
    for name, value in row.items():
        if isinstance(value, str):
            if not value.isascii():
                _check_text(value, name)
        elif value is not None:
            _check(value, name)


def _check_text(text: str, column: str) -> None:
    for sign in _SIGNS:
        if sign in text:
            raise InvalidRowError(ACCEPTABLE, column, value=text, found=sign)


def _check(value: object, column: str) -> None:
    if isinstance(value, str):
        if not value.isascii():
            _check_text(value, column)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key, column)
            _check(item, f"{column}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{column}.{index}")

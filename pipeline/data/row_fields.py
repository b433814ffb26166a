"""Checks of single fields of a parsed row, shared by all layouts."""

import re
from collections.abc import Mapping
from typing import Any

from pipeline.contracts.row_error_phrases import VALUE_TYPE_NAMES
from pipeline.contracts.row_errors import RowError, excerpt
from pipeline.data.languages import LANGUAGES, detect_language, language_code

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class InvalidRowError(Exception):
    """A row cannot become a record; carries what a `RowError` needs except the line."""

    def __init__(
        self, code: str, column: str | None = None, *, value: object = "", **params: str | int
    ) -> None:
        super().__init__(code)
        self.code = code
        self.column = column
        self.value = value
        self.params = params

    def at_line(self, line: int) -> RowError:
        """The error with its place."""
        return RowError(
            code=self.code,
            line=line,
            column=self.column,
            params=self.params,
            value_excerpt=excerpt(self.value),
        )


def type_name(value: object) -> str:
    """What a person calls the JSON type of `value`."""
    return VALUE_TYPE_NAMES.get(type(value), type(value).__name__)


def check_text(text: str, column: str) -> str:
    """`text`, unchanged.

    Raises:
        InvalidRowError: it holds a character that no store or tokenizer takes.
    """
    if text.isascii() and "\x00" not in text:
        return text
    if "\x00" in text:
        raise InvalidRowError("row.nul_character", column, value=text)
    # Encoding is several times faster than a regular expression over the usual, valid text.
    try:
        text.encode()
    except UnicodeEncodeError:
        match = _LONE_SURROGATE.search(text)
        found = f"U+{ord(match.group()):04X}" if match else ""
        raise InvalidRowError("row.lone_surrogate", column, value=text, found=found) from None
    return text


def text_field(row: Mapping[str, Any], name: str, *, required: bool, column: str = "") -> str:
    column = column or name
    value = row.get(name)
    if value is None:
        if required:
            code = "row.required_empty" if name in row else "row.field_missing"
            raise InvalidRowError(code, column, field=column)
        return ""
    if not isinstance(value, str):
        raise wrong_type(column, value, VALUE_TYPE_NAMES[str])
    if not value.isascii() or "\x00" in value:
        check_text(value, column)
    if required and not value.strip():
        raise InvalidRowError("row.required_empty", column, value=value, field=column)
    return value


def wrong_type(column: str, value: object, expected: str) -> InvalidRowError:
    return InvalidRowError(
        "row.type",
        column,
        value=value,
        field=column,
        found=type_name(value),
        expected=expected,
    )


_COMMON_FIELDS = frozenset({"id", "lang", "source", "license", "meta"})


def common_fields(
    row: Mapping[str, Any], line: int, own_fields: frozenset[str], text: str
) -> dict[str, Any]:
    identifier = row.get("id")
    if isinstance(identifier, str) and identifier:
        identifier = text_field(row, "id", required=True)
    elif isinstance(identifier, int) and not isinstance(identifier, bool):
        identifier = str(identifier)
    elif identifier in (None, ""):
        identifier = f"line-{line}"
    else:
        identifier = text_field(row, "id", required=True)
    named = text_field(row, "lang", required=False)
    lang = language_code(named) if named else detect_language(text)
    if lang is None:
        raise InvalidRowError(
            "row.enum",
            "lang",
            value=named,
            field="lang",
            allowed=", ".join(LANGUAGES),
        )
    meta = row.get("meta")
    if meta is None:
        meta = {}
    elif not isinstance(meta, dict):
        raise wrong_type("meta", meta, VALUE_TYPE_NAMES[dict])
    extra = {
        name: row[name] for name in row if name not in own_fields and name not in _COMMON_FIELDS
    }
    if extra:
        meta = {**extra, **meta}
    for key, value in meta.items():
        check_text(key, "meta")
        _check_nested(value, f"meta.{key}")
    return {
        "id": identifier,
        "lang": lang,
        "source": text_field(row, "source", required=False),
        "license": text_field(row, "license", required=False),
        "meta": meta,
    }


def _check_nested(value: object, column: str) -> None:
    if isinstance(value, str):
        check_text(value, column)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_text(key, column)
            _check_nested(item, f"{column}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_nested(item, f"{column}.{index}")

"""Which column of a table is which field: exact names, the aliases people use, or a mapping."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pipeline.contracts.references import DatasetKind
from pipeline.contracts.returned_tables import REPORT_COLUMNS
from pipeline.contracts.row_errors import RowError

IGNORE = "ignore"
MAX_COLUMNS = 500

_COMMON_ALIASES = {
    "id": "id",
    "\u7f16\u53f7": "id",
    "\u5e8f\u53f7": "id",
    "lang": "lang",
    "language": "lang",
    "\u8bed\u8a00": "lang",
    "source": "source",
    "\u6765\u6e90": "source",
    "license": "license",
    "licence": "license",
    "\u8bb8\u53ef": "license",
    "\u8bb8\u53ef\u8bc1": "license",
}
_EXCHANGE_ALIASES = {
    "instruction": "instruction",
    "question": "instruction",
    "prompt": "instruction",
    "query": "instruction",
    "\u95ee\u9898": "instruction",
    "\u63d0\u95ee": "instruction",
    "\u6307\u4ee4": "instruction",
    "\u9898\u76ee": "instruction",
    "input": "input",
    "context": "input",
    "\u8f93\u5165": "input",
    "\u6750\u6599": "input",
    "output": "output",
    "answer": "output",
    "response": "output",
    "reference": "output",
    "\u7b54\u6848": "output",
    "\u56de\u7b54": "output",
    "\u53c2\u8003\u7b54\u6848": "output",
    "\u8f93\u51fa": "output",
    "system": "system",
    "\u7cfb\u7edf\u63d0\u793a": "system",
}
_CHOICE_ALIASES = {
    "question": "question",
    "\u95ee\u9898": "question",
    "\u9898\u76ee": "question",
    "\u9898\u5e72": "question",
    "answer": "answer",
    "\u7b54\u6848": "answer",
    "\u6b63\u786e\u7b54\u6848": "answer",
    **{
        alias: letter
        for letter in "ABCDEFGH"
        for alias in (
            letter.lower(),
            f"option_{letter.lower()}",
            f"choice_{letter.lower()}",
            f"\u9009\u9879{letter.lower()}",
        )
    },
}
ALIASES: Mapping[DatasetKind, Mapping[str, str]] = MappingProxyType(
    {
        "corpus": {
            **_COMMON_ALIASES,
            "text": "text",
            "content": "text",
            "\u6b63\u6587": "text",
            "\u5185\u5bb9": "text",
            "\u6587\u672c": "text",
            "title": "title",
            "\u6807\u9898": "title",
        },
        "conversations": {**_COMMON_ALIASES, **_EXCHANGE_ALIASES},
        "domain_test": {
            name: field
            for name, field in {**_COMMON_ALIASES, **_EXCHANGE_ALIASES}.items()
            if field != "system"
        },
        "multiple_choice": {**_COMMON_ALIASES, **_CHOICE_ALIASES},
    }
)
"""Lower-case header -> field. Headers found here are mapped without being asked."""

REQUIRED_COLUMNS: Mapping[DatasetKind, tuple[str, ...]] = MappingProxyType(
    {
        "corpus": ("text",),
        "conversations": ("instruction", "output"),
        "domain_test": ("instruction", "output"),
        "multiple_choice": ("question", "A", "B", "answer"),
    }
)


def resolve_columns(
    headers: Sequence[str], kind: DatasetKind, mapping: Mapping[str, str] | None
) -> list[str] | RowError:
    """The field of each column, or why the header cannot be used; see `column_fields`."""
    if len(headers) > MAX_COLUMNS:
        return _error("header.too_many", count=len(headers), limit=MAX_COLUMNS)
    names = [header.strip() for header in headers]
    listed = ", ".join(name for name in names if name)[:400]
    mapping = mapping or {}
    for header in mapping:
        if header not in names:
            return _error("header.unknown_mapping", header=header, headers=listed)
    fields = column_fields(names, kind, mapping)
    for field in dict.fromkeys(fields):
        sharing = [name for name, other in zip(names, fields, strict=True) if other == field]
        if field != IGNORE and len(sharing) > 1:
            return _error("header.duplicate", column=field, headers=", ".join(sharing), field=field)
    for field in REQUIRED_COLUMNS[kind]:
        if field not in fields:
            return _error("header.missing", column=field, field=field, headers=listed)
    return fields


def column_fields(names: Sequence[str], kind: DatasetKind, mapping: Mapping[str, str]) -> list[str]:
    """What each column means, whether or not the columns suffice.

    A `mapping` (header -> field, `meta.x` or `ignore`) goes before the aliases. Columns that mean
    no field become `meta.<header>`; columns without a header and without meaning are ignored when
    they are empty, so trailing delimiters do no harm.
    """
    aliases = ALIASES[kind]
    fields = []
    for name in names:
        if name in mapping:
            fields.append(mapping[name])
        elif name.lower() in aliases:
            fields.append(aliases[name.lower()])
        elif name and name not in REPORT_COLUMNS:
            fields.append(name if name.startswith("meta.") else f"meta.{name}")
        else:
            fields.append(IGNORE)
    return fields


def _error(code: str, column: str | None = None, **params: str | int) -> RowError:
    return RowError(code=code, line=1, column=column, params=params)


def row_from_cells(fields: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    """The fields of one table row. Empty cells of optional columns count as absent."""
    row: dict[str, Any] = {}
    meta: dict[str, str] = {}
    for field, cell in zip(fields, cells, strict=False):
        if field == IGNORE:
            continue
        if field.startswith("meta."):
            if cell:
                meta[field.removeprefix("meta.")] = cell
        elif cell or field in {"text", "instruction", "output", "question", "answer"}:
            row[field] = cell
    if meta:
        row["meta"] = meta
    return row

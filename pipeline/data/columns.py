"""Which column of a table is which field: exact names, the aliases people use, or a mapping."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pipeline.contracts.references import DatasetKind
from pipeline.contracts.returned_tables import REPORT_COLUMNS
from pipeline.contracts.row_errors import RowError
from pipeline.data.reading import Reading

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
    headers: Sequence[str], reading: Reading, line: int = 1
) -> list[str] | RowError:
    """The field of each column, or why the header on `line` cannot be used; see `column_fields`."""

    def refused(code: str, column: str | None = None, **params: str | int) -> RowError:
        return RowError(code=code, line=line, column=column, params=params)

    if len(headers) > MAX_COLUMNS:
        return refused("header.too_many", count=len(headers), limit=MAX_COLUMNS)
    names = [header.strip() for header in headers]
    listed = ", ".join(name for name in names if name)[:400]
    for header in reading.columns:
        if header not in names:
            return refused("header.unknown_mapping", header=header, headers=listed)
    for position in reading.columns_at:
        if position > len(names):
            return refused("header.unknown_position", position=position, count=len(names))
    fields = column_fields(names, reading)
    for field in dict.fromkeys(fields):
        sharing = [name for name, other in zip(names, fields, strict=True) if other == field]
        if field != IGNORE and len(sharing) > 1:
            return refused(
                "header.duplicate", column=field, headers=", ".join(sharing), field=field
            )
    for field in REQUIRED_COLUMNS[reading.kind]:
        if field not in fields:
            return refused("header.missing", column=field, field=field, headers=listed)
    return fields


def column_fields(names: Sequence[str], reading: Reading) -> list[str]:
    """What each column means, whether or not the columns suffice.

    What a person says of a column goes before the aliases, of its position before its name.
    Columns that mean no field become `meta.<header>`; columns without a header and without meaning
    are ignored when they are empty, so trailing delimiters do no harm.
    """
    aliases = ALIASES[reading.kind]
    fields = []
    for position, name in enumerate(names, start=1):
        if position in reading.columns_at:
            fields.append(reading.columns_at[position])
        elif name in reading.columns:
            fields.append(reading.columns[name])
        elif name.lower() in aliases:
            fields.append(aliases[name.lower()])
        elif name and name not in REPORT_COLUMNS:
            fields.append(name if name.startswith("meta.") else f"meta.{name}")
        else:
            fields.append(IGNORE)
    return fields


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

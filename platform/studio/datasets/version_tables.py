"""A version's rows as people take them along: JSON objects, or the cells of a table.

What is given out here and uploaded again has equal rows. A table has a column for each field; what
is no text stands in its cell as JSON (`pipeline.contracts.returned_tables.JSON_COLUMNS`), except
that choices have a column each, and the right one its letter.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

LETTERS = "ABCDEFGH"


def json_row(row: Mapping[str, object]) -> dict[str, object]:
    """A row of `rows.parquet` without what it does not have."""
    present = {name: _without_nulls(value) for name, value in row.items() if value is not None}
    return present | {"meta": json.loads(str(row["meta"]))}


def table_columns(path: Path) -> tuple[str, ...]:
    """Names of the columns that the version at `path` has as a table."""
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        if "choices" not in names:
            return tuple(names)
        num_choices = max(
            pc.max(
                pc.list_value_length(file.read_row_group(group, columns=["choices"]).column(0))
            ).as_py()
            for group in range(file.metadata.num_row_groups)
        )
    # More choices than there are letters stay together in one cell.
    letters = LETTERS[:num_choices] if num_choices <= len(LETTERS) else ("choices",)
    at = names.index("choices")
    return (*names[:at], *letters, *names[at + 1 :])


def table_row(row: Mapping[str, object], columns: Sequence[str]) -> list[str]:
    """The cells of a row under `columns`."""
    cells = {name: _cell(value) for name, value in row.items()}
    choices, answer = row.get("choices"), row.get("answer")
    if isinstance(choices, list) and "choices" not in columns:
        cells |= dict(zip(LETTERS, choices, strict=False))
        if isinstance(answer, int):
            cells["answer"] = LETTERS[answer]
        others = row.get("other_answers")
        if isinstance(others, list):
            cells["answer"] += "".join(LETTERS[other] for other in others)
            cells["other_answers"] = ""
    if row["meta"] == "{}":
        cells["meta"] = ""
    return [cells.get(column, "") for column in columns]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(_without_nulls(value), ensure_ascii=False)


def _without_nulls(value: object) -> object:
    """Turns have the fields they were written with."""
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if isinstance(value, dict):
        return {name: item for name, item in value.items() if item is not None}
    return value


def longest_text_bytes(table: pa.Table) -> int:
    """UTF-8 bytes of the longest text in a column of texts; an upper bound of its characters."""
    texts = [column for column in table.columns if pa.types.is_string(column.type)]
    return max(pc.max(pc.binary_length(column)).as_py() or 0 for column in texts)

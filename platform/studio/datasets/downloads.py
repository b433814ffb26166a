"""Files for people: rejected rows, versions, and examples of each kind."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl
from django.conf import settings

from pipeline.contracts.returned_tables import csv_cell
from studio.datasets.models import DatasetKind
from studio.datasets.parquet_pages import iter_rows
from studio.datasets.row_error_texts import shown_error

# A byte order mark tells spreadsheet programs that the file is UTF-8.
BOM = "\ufeff"
_REPORT = ("__line", "__column", "__code", "__message", "__hint", "__row")
_FILE = "__file"
"""Before them where the rows came in several files."""
_EXAMPLE_STEMS = {
    DatasetKind.CORPUS: "corpus_domain",
    DatasetKind.CONVERSATIONS: "sft_weak",
    DatasetKind.DOMAIN_TEST: "sft_expert",
    DatasetKind.MULTIPLE_CHOICE: "general_mcq",
}
EXAMPLE_FORMATS = ("jsonl", "csv", "xlsx")
NUM_EXAMPLE_ROWS = 3


def rejects_csv(
    path: Path, columns: Sequence[str], headers: Mapping[str, str], *, is_of_several: bool
) -> Iterator[str]:
    """`errors.parquet` as CSV in the reader's language: the file's own columns, then the report's.

    Rows that could not be split into columns, and those of several files, stand in `__row`.
    """
    file_column = (_FILE,) if is_of_several else ()
    yield BOM + _csv_line((*columns, *file_column, *_REPORT))
    for row in iter_rows(path):
        error = shown_error(row, headers)
        cells = error.cells if error.cells is not None else ("",) * len(columns)
        text = "" if error.cells is not None else error.text
        line = "" if error.line is None else str(error.line)
        report = (line, error.column, error.code, error.message, error.hint, text)
        file = (error.file,) if is_of_several else ()
        yield _csv_line((*cells, *file, *report))


def rows_jsonl(path: Path) -> Iterator[str]:
    """A version's rows as JSON Lines that can be uploaded again."""
    for row in iter_rows(path):
        present = _present(row)
        present["meta"] = json.loads(row["meta"])
        if "messages" in present:
            present["messages"] = [_present(turn) for turn in row["messages"]]
        yield json.dumps(present, ensure_ascii=False) + "\n"


def example_file(kind: DatasetKind, file_format: str, *, lang: str) -> bytes:
    """A small valid file of `kind` in `lang` (zh or en), from the demonstration data."""
    path = settings.ROOT / "examples" / "soae_demo" / f"{_EXAMPLE_STEMS[kind]}.{lang}.jsonl"
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(next(file)) for _ in range(NUM_EXAMPLE_ROWS)]
    if file_format == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    table = [_flat(row) for row in rows]
    columns = list(dict.fromkeys(name for row in table for name in row))
    cells = [columns, *([row.get(name, "") for name in columns] for row in table)]
    if file_format == "csv":
        return (BOM + "".join(map(_csv_line, cells))).encode()
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(kind)
    for row_cells in cells:
        sheet.append(row_cells)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _flat(row: Mapping[str, Any]) -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in row.items():
        if name == "messages":
            flat |= {"instruction": value[0]["content"], "output": value[1]["content"]}
        elif name == "choices":
            flat |= dict(zip("ABCDEFGH", value, strict=False))
        elif name == "answer":
            flat["answer"] = "ABCDEFGH"[value]
        elif name == "meta":
            flat |= {f"meta.{key}": str(item) for key, item in value.items()}
        else:
            flat[name] = str(value)
    return flat


def _csv_line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([csv_cell(cell) for cell in cells])
    return line.getvalue()

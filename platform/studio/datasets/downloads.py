"""Examples of each kind of data, as files."""

import io
import json
from collections.abc import Mapping
from typing import Any

import openpyxl
from django.conf import settings

from pipeline.contracts.returned_tables import csv_cell
from studio.datasets.exports import BOM, csv_line
from studio.datasets.models import DatasetKind

_EXAMPLE_STEMS = {
    DatasetKind.CORPUS: "corpus_domain",
    DatasetKind.CONVERSATIONS: "sft_weak",
    DatasetKind.DOMAIN_TEST: "sft_expert",
    DatasetKind.MULTIPLE_CHOICE: "general_mcq",
}
EXAMPLE_FORMATS = ("jsonl", "csv", "xlsx")
NUM_EXAMPLE_ROWS = 3


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
        return (BOM + "".join(csv_line([csv_cell(cell) for cell in row]) for row in cells)).encode()
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(kind)
    for row_cells in cells:
        sheet.append(row_cells)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


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

"""Rows as they are, or will be, stored: a table with a column for each field that some row has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.contracts.stored_rows import row_texts
from studio.datasets.fields import field_label
from studio.datasets.parquet_pages import read_page

MAX_CELL_CHARS = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """The beginning of a text."""

    text: str
    num_chars: int
    """Of the whole text; 0 where the row has no such field."""

    @property
    def is_cut(self) -> bool:
        """The text goes on."""
        return self.num_chars > len(self.text)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredTable:
    """Rows under the names of their fields."""

    columns: tuple[tuple[str, str], ...]
    """(field, words for people)"""
    rows: tuple[tuple[Cell, ...], ...]


def stored_table(rows: Iterable[Mapping[str, tuple[str, int]]], kind: str) -> StoredTable:
    """The table of `rows`: by field, the beginning of its text and all its characters."""
    found = list(rows)
    fields = list(dict.fromkeys(field for row in found for field in row))
    return StoredTable(
        columns=tuple((field, field_label(field, kind)) for field in fields),
        rows=tuple(tuple(_cell(*row.get(field, ("", 0))) for field in fields) for row in found),
    )


def first_rows(path: Path, kind: str, *, size: int) -> StoredTable:
    """The first rows of a `rows.parquet`."""
    page = read_page(path, start=0, size=size)
    texts = (row_texts(row) for _index, row in page.rows)
    return stored_table(
        ({field: (text, len(text)) for field, text in row.items()} for row in texts), kind
    )


def _cell(text: str, num_chars: int) -> Cell:
    return Cell(text=text[:MAX_CELL_CHARS], num_chars=num_chars)

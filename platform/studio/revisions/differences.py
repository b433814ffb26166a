"""Rows that differ between two versions, side by side."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.contracts.reports import Report
from studio.datasets.parquet_pages import RowPage, read_matching_page, read_page
from studio.revisions.models import Comparison
from studio.runs.paths import attempt_dir

PAGE_SIZE = 20
MAX_CHARS = 2_000


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldPair:
    """One field before and after."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One row that only one version has, or that is another in each."""

    id: str
    fields: tuple[FieldPair, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class DifferencesPage:
    """Some of the differences of one sort."""

    rows: tuple[Difference, ...]
    previous_start: int | None
    next_start: int | None


def read_differences(
    comparison: Comparison, report: Report, *, change: str, start: int
) -> DifferencesPage:
    """The differences of sort `change` from index `start` of the file on."""
    directory = attempt_dir(comparison.run_id, comparison.run.attempt)
    path = directory / report.outputs["differences"].path
    page: RowPage = read_matching_page(
        path, column="change", value=change, start=start, size=PAGE_SIZE
    )
    older, newer = comparison.older.rows_path, comparison.newer.rows_path
    rows = tuple(
        Difference(
            id=row["id"],
            fields=_pairs(
                _row_at(older, row["older_index"]),
                _row_at(newer, row["newer_index"]),
                row["fields"],
            ),
        )
        for _index, row in page.rows
    )
    return DifferencesPage(
        rows=rows, previous_start=page.previous_start, next_start=page.next_start
    )


def _row_at(path: Path, index: int | None) -> dict[str, object]:
    if index is None or not path.is_file():
        return {}  # the version was deleted since
    page = read_page(path, start=index, size=1)
    return page.rows[0][1] if page.rows else {}


def _pairs(
    before: dict[str, object], after: dict[str, object], fields: Sequence[str]
) -> tuple[FieldPair, ...]:
    names = fields or [name for name in (before or after) if name != "id"]
    pairs = [
        FieldPair(name=name, before=_text(before.get(name)), after=_text(after.get(name)))
        for name in names
    ]
    return tuple(pair for pair in pairs if pair.before or pair.after)


def _text(value: object) -> str:
    """A field as a person reads it."""
    if value is None or value == "{}":
        return ""
    if isinstance(value, list):
        parts = [
            f"{item['role']}: {item['content']}" if isinstance(item, dict) else str(item)
            for item in value
        ]
        text = "\n".join(parts)
    elif isinstance(value, str):
        text = value
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}..."

"""A rejected row as a form shows it, and the change that adds the repaired one."""

from collections.abc import Mapping
from typing import Any

from pipeline.contracts.dataset_revisions import AddRow
from studio.datasets.reports import ImportReport
from studio.revisions.forms import CellsForm, TextForm

_IGNORED = "ignore"


def cells_to_repair(
    report: ImportReport, row: Mapping[str, Any]
) -> list[tuple[str, str, str]] | None:
    """(name in the file, field, cell) of each cell that is read; None for what is no table row.

    A row that does not fit its table's columns has its text in none of them.
    """
    columns = report.source.columns
    if report.source.format not in {"csv", "xlsx"} or not columns:
        return None
    cells = row["cells"] or [""] * len(columns)
    return [
        (column.name, column.field, cell)
        for column, cell in zip(columns, cells, strict=False)
        if column.field != _IGNORED
    ]


def line_of(row: Mapping[str, Any]) -> int:
    """Where the row stood in its file."""
    return row["line"] or 1


def added_row(form: CellsForm | TextForm, *, line: int) -> AddRow:
    """The change, once the form is valid."""
    content: dict[str, Any] = (
        {"cells": form.cells()}
        if isinstance(form, CellsForm)
        else {"text": form.cleaned_data["text"]}
    )
    return AddRow(line=line, reason=form.cleaned_data["reason"], **content)

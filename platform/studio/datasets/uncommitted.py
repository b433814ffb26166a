"""Rows that a run wrote and that nobody made a version of."""

from collections.abc import Iterator
from pathlib import Path

from django.db.models import QuerySet

from studio.datasets.models import Import
from studio.runs.paths import attempt_dir
from studio.runs.states import RunState


def uncommitted_rows(imports: QuerySet[Import]) -> Iterator[tuple[Path, int]]:
    """(directory, project) of rows that wait, or waited, for a person; they may be gone already."""
    waiting = imports.filter(
        needs_commit=True, run__state=RunState.SUCCEEDED, run__dataset_version=None
    )
    for started in waiting.select_related("run"):
        directory = attempt_dir(started.run_id, started.run.attempt) / "dataset"
        yield directory, started.run.project_id

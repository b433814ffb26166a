"""Rows of tasks of lm-evaluation-harness that an administrator brought by hand.

One folder for each task, in `benchmarks/` of the data directory; every project may use them, as it
may the models of the installation.
"""

from pathlib import Path

from django.conf import settings

from pipeline.contracts.harness_tasks import TaskFilesRef
from studio.accounts.models import Project
from studio.runs.inputs import NamedInput


def task_folders() -> list[Path]:
    """The folders that are there, by name."""
    return sorted(path for path in _root().glob("*") if path.is_dir())


def is_task_folder(project: Project, named: NamedInput) -> bool:
    """The path is a folder of rows, and a task of the harness reads it."""
    if named.takes != TaskFilesRef.takes:
        return False
    return named.path in {str(path) for path in task_folders()}


def _root() -> Path:
    return Path(settings.STUDIO_DATA_DIR) / "benchmarks"

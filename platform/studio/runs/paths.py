"""Where a run's files are: `<data dir>/runs/<run id>/attempt-<n>/`.

An attempt writes only into its own directory, so one that was fenced off cannot harm its successor.
"""

from pathlib import Path
from uuid import UUID

from django.conf import settings

STDERR_NAME = "stderr.log"


def run_dir(run_id: UUID) -> Path:
    """Holds the run's spec and one directory for each attempt."""
    return Path(settings.STUDIO_DATA_DIR) / "runs" / str(run_id)


def attempt_dir(run_id: UUID, attempt: int) -> Path:
    """The run directory that `python -m pipeline run` is given."""
    return run_dir(run_id) / f"attempt-{attempt}"


def is_linked(path: str) -> bool:
    """Whether `path`, inside the data directory, is reached through a symbolic link.

    Nothing that the platform stores is. Models that the installation prepared may be.
    """
    data_dir = Path(settings.STUDIO_DATA_DIR)
    models = data_dir / "models"
    if not Path(path).is_relative_to(data_dir) or Path(path).is_relative_to(models):
        return False
    inside = Path(path).relative_to(data_dir)
    return Path(path).resolve() != data_dir.resolve() / inside

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

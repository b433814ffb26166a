"""The one task: look whether a run is there to be claimed, and supervise it to its end."""

from uuid import UUID

from workers.app import app, is_draining, used_slot
from workers.supervisor import supervise


@app.task(name="workers.tasks.wake")  # type: ignore[untyped-decorator]  # Celery is untyped
def wake(run_id: str) -> None:
    """One attempt of the run was executed here, if this worker could claim it."""
    supervise(UUID(run_id), slot=used_slot(), is_draining=is_draining)

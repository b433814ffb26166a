"""The one task: look whether a run waits to be claimed, and supervise it to its end."""

from uuid import UUID

from workers.app import app, is_draining, used_slot
from workers.supervisor import supervise


@app.task(name="workers.tasks.wake")  # type: ignore[untyped-decorator]  # Celery is untyped
def wake(run_id: str) -> None:
    """One attempt of the run that waits longest was executed here, if it could be claimed."""
    supervise(UUID(run_id), slot=used_slot(), is_draining=is_draining)

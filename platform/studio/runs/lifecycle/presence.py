"""A worker shows itself: which slot it works on, how it confines its children, that it is there."""

from django.db.models.functions import Now

from studio.runs.models import Worker
from studio.runs.states import Isolation


def worker_seen(owner: str, *, pid: int, isolation: Isolation) -> None:
    """The worker of the slot `owner` is there, as this process."""
    Worker.objects.update_or_create(
        owner=owner, defaults={"pid": pid, "isolation": isolation, "seen_at": Now()}
    )

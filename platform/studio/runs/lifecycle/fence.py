"""Whether an attempt still holds its run: the condition that every write of a worker carries."""

from uuid import UUID

from studio.runs.models import Run
from studio.runs.querysets import RunQuerySet
from studio.runs.states import ACTIVE_STATES


def held(run_id: UUID, attempt: int) -> RunQuerySet:
    """The run, if `attempt` still holds it."""
    return Run.objects.filter(pk=run_id, attempt=attempt, state__in=ACTIVE_STATES)


def lock_held(run_id: UUID, attempt: int) -> bool:
    """Whether `attempt` still holds the run; if so, nobody else changes it in this transaction.

    For what writes more than one row: between a look and a write another caller may end the
    attempt, and each would leave a part of its story.
    """
    locked = held(run_id, attempt).select_for_update().values_list("pk", flat=True)
    return locked.first() is not None

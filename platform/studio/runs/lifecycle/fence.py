"""Whether an attempt still holds its run: the condition that every write of a worker carries."""

from uuid import UUID

from studio.runs.models import Run
from studio.runs.querysets import RunQuerySet
from studio.runs.states import ACTIVE_STATES


def held(run_id: UUID, attempt: int) -> RunQuerySet:
    """The run, if `attempt` still holds it."""
    return Run.objects.filter(pk=run_id, attempt=attempt, state__in=ACTIVE_STATES)

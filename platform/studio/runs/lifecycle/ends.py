"""How a run leaves the hands of an attempt: ended for good, or queued again."""

from uuid import UUID

from django.db.models import F
from django.db.models.functions import Now

from studio.runs import plans
from studio.runs.lifecycle.fence import held
from studio.runs.lifecycle.stored_text import fitting
from studio.runs.models import Attempt, Run
from studio.runs.states import AttemptState, RunState
from studio.runs.transitions import enqueue, move


def give_up(run_id: UUID, attempt: int, *, code: str, message: str) -> bool:
    """After a loss: cancelled if that was asked for, else queued again or failed."""
    if end(run_id, attempt, RunState.CANCELLED):
        return True
    again = held(run_id, attempt).filter(num_lost__lt=F("max_attempts") - 1)
    if enqueue(again, num_lost=F("num_lost") + 1):
        return True
    return end(
        run_id,
        attempt,
        RunState.FAILED,
        num_lost=F("num_lost") + 1,
        code=code,
        message=f"{message}; no attempt is left. Resume the run once the cause is mended",
    )


def end(
    run_id: UUID,
    attempt: int,
    state: RunState,
    *,
    code: str = "",
    message: str = "",
    **changes: object,
) -> bool:
    """The run has ended in `state` and its plan knows; False when the state has no way there."""
    runs = held(run_id, attempt)
    changes |= {
        "error_code": fitting(Run, "error_code", code),
        "error_message": fitting(Run, "error_message", message),
    }
    if not move(runs, state, **changes):
        return False
    settle(Run.objects.get(pk=run_id))
    return True


def settle(run: Run) -> None:
    """The plan of a run that has ended goes on."""
    if run.plan_id is not None:
        plans.advance(run.plan_id)


def end_attempt(
    run_id: UUID,
    attempt: int,
    state: AttemptState,
    *,
    exit_status: int | None,
    message: str = "",
) -> None:
    """The attempt, which holds its run and is locked by the caller, has ended."""
    Attempt.objects.filter(run_id=run_id, number=attempt).update(
        state=state,
        ended_at=Now(),
        exit_status=exit_status,
        message=fitting(Attempt, "message", message),
    )

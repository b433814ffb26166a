"""An attempt ends by its own word: succeeded, failed or stopped."""

from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from pipeline.contracts.plans import check_gates
from pipeline.contracts.reports import Report
from pipeline.contracts.storable import storable_value
from pipeline.errors import GateError
from studio.runs import plans
from studio.runs.lifecycle.ends import end, end_attempt, give_up, settle
from studio.runs.lifecycle.fence import held, lock_held
from studio.runs.lifecycle.stored_text import fitting
from studio.runs.models import Run
from studio.runs.states import AttemptState, RunState
from studio.runs.transitions import enqueue, move

Publisher = Callable[[Run, Report], None]


def finish_succeeded(run_id: UUID, attempt: int, report: Report) -> bool:
    """The report is published and later steps may use its outputs; False when fenced.

    A plan's gates are checked here: a run whose report does not pass ends as failed, with its
    report. The publishers of `settings.STUDIO_RUN_PUBLISHERS` run in this transaction.
    """
    document = storable_value(report.model_dump(mode="json"))
    with transaction.atomic():
        plans.lock_plan(run_id)
        runs = held(run_id, attempt)
        run = runs.select_related("plan").first()
        if run is None:
            return False
        try:
            check_gates(run.step_id, plans.step_gates(run), report)
        except GateError as exc:
            message = fitting(Run, "error_message", str(exc))
            moved = move(
                runs, RunState.FAILED, report=document, error_code=exc.code, error_message=message
            )
        else:
            moved = move(runs, RunState.SUCCEEDED, report=document)
        if not moved:
            return False
        end_attempt(run_id, attempt, AttemptState.SUCCEEDED, exit_status=0)
        run.refresh_from_db()
        if run.state == RunState.SUCCEEDED:
            for publish in _publishers():
                publish(run, report)
        settle(run)
        return True


def finish_failed(
    run_id: UUID,
    attempt: int,
    *,
    code: str,
    message: str,
    is_retryable: bool,
    exit_status: int | None,
) -> bool:
    """The attempt failed; the run is queued again where that can help; False when fenced."""
    with transaction.atomic():
        plans.lock_plan(run_id)
        if not lock_held(run_id, attempt):
            return False
        end_attempt(run_id, attempt, AttemptState.FAILED, exit_status=exit_status, message=message)
        if is_retryable:
            return give_up(run_id, attempt, code=code, message=message)
        return end(run_id, attempt, RunState.FAILED, code=code, message=message)


def finish_stopped(run_id: UUID, attempt: int, *, exit_status: int) -> bool:
    """The attempt ended because we asked it to; False when fenced.

    A cancelled run is cancelled; one that was stopped because its worker is shutting down is queued
    again, and the attempt is not held against it.
    """
    with transaction.atomic():
        plans.lock_plan(run_id)
        if not lock_held(run_id, attempt):
            return False
        end_attempt(run_id, attempt, AttemptState.STOPPED, exit_status=exit_status)
        return end(run_id, attempt, RunState.CANCELLED) or enqueue(held(run_id, attempt))


def _publishers() -> list[Publisher]:
    return [import_string(dotted) for dotted in settings.STUDIO_RUN_PUBLISHERS]

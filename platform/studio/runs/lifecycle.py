"""What a supervisor may do to a run: claim, renew, ingest, finish; and the reaper.

Every function after `claim` names the attempt it speaks for and returns False when that
attempt no longer holds the run: the caller is fenced and must stop its child. All times are the
database's. `docs/run_lifecycle.md` tells the whole story.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now
from django.utils.module_loading import import_string
from pydantic import ValidationError

from pipeline.contracts.events import Event, Progress, parse_event
from pipeline.contracts.plans import check_gates
from pipeline.contracts.reports import Report
from pipeline.errors import GateError
from studio.runs import plans
from studio.runs.models import Attempt, Outbox, Run, RunEvent
from studio.runs.querysets import RunQuerySet
from studio.runs.states import ACTIVE_STATES, LIVE_ATTEMPT_STATES, AttemptState, RunState
from studio.runs.transitions import db_time_after, enqueue, move

logger = logging.getLogger(__name__)

WORKER_LOST = "worker.lost"
Publisher = Callable[[Run, Report], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """The right to execute one attempt of a run, for as long as its lease is renewed."""

    run_id: UUID
    attempt: int
    kind: str
    queue: str
    spec: dict[str, object]
    spec_digest: str
    earlier_attempts: tuple[tuple[UUID, int], ...]
    """(run id, attempt) whose checkpoints may be resumed from, newest first."""


def claim(run_id: UUID, *, slot: str, queue: str) -> Claim | None:
    """The run is running as a new attempt on `slot`, or None if it was not there to be claimed.

    The caller holds the slot's file lock. Whatever the database still shows as living there died
    with the process that held the lock before, and is given up first.
    """
    with transaction.atomic():
        slot_abandon(slot)
        claimed = move(
            Run.objects.filter(
                pk=run_id,
                queue=queue,
                cancel_requested_at=None,
                num_lost__lt=F("max_attempts"),
            ),
            RunState.RUNNING,
            attempt=F("attempt") + 1,
            owner=slot,
            lease_expires_at=db_time_after(settings.STUDIO_LEASE_SECONDS),
            started_at=Coalesce("started_at", Now()),
        )
        if not claimed:
            return None
        run = Run.objects.defer("report").get(pk=run_id)
        Outbox.objects.filter(run=run).delete()
        Attempt.objects.create(run=run, number=run.attempt, worker=slot)
        return Claim(
            run_id=run.pk,
            attempt=run.attempt,
            kind=run.kind,
            queue=run.queue,
            spec=run.spec,
            spec_digest=run.spec_digest,
            earlier_attempts=_earlier_attempts(run),
        )


def attempt_started(run_id: UUID, attempt: int, *, pid: int, resumed_from: str) -> bool:
    """The attempt's child process exists; False when fenced."""
    updated = Attempt.objects.filter(
        run_id=run_id, number=attempt, state=AttemptState.STARTING
    ).update(state=AttemptState.RUNNING, pid=pid, resumed_from=resumed_from)
    return updated == 1


def renew(run_id: UUID, attempt: int) -> bool:
    """The lease ends one full term from now; False when fenced."""
    lease_expires_at = db_time_after(settings.STUDIO_LEASE_SECONDS)
    return _held(run_id, attempt).update(lease_expires_at=lease_expires_at) == 1


def is_cancel_requested(run_id: UUID, attempt: int) -> bool:
    """A person asked for the end of the run that the attempt holds."""
    return _held(run_id, attempt).filter(state=RunState.CANCELLING).exists()


def ingest_events(run_id: UUID, attempt: int, lines: Sequence[bytes]) -> bool:
    """The events are stored and the run's progress columns follow the newest; False when fenced.

    Idempotent on (run, attempt, seq): lines may be sent again after a failure. A line that is not
    an event of this attempt is logged and left out.
    """
    events = [event for line in lines if (event := _event(line, run_id, attempt)) is not None]
    progress = next((e for e in reversed(events) if isinstance(e.payload, Progress)), None)
    with transaction.atomic():
        runs = _held(run_id, attempt)
        if progress is None:
            if not runs.exists():
                return False
        elif not runs.update(**_progress_columns(progress)):
            return False
        RunEvent.objects.bulk_create(
            [
                RunEvent(
                    run_id=run_id,
                    attempt=attempt,
                    seq=event.seq,
                    at=event.at,
                    kind=event.kind,
                    payload=event.payload.model_dump(mode="json"),
                )
                for event in events
            ],
            ignore_conflicts=True,
        )
    return True


def finish_succeeded(run_id: UUID, attempt: int, report: Report) -> bool:
    """The report is published and later steps may use its outputs; False when fenced.

    A plan's gates are checked here: a run whose report does not pass ends as failed, with its
    report. The publishers of `settings.STUDIO_RUN_PUBLISHERS` run in this transaction.
    """
    document = json.loads(_without_nul(report.model_dump_json()))
    with transaction.atomic():
        runs = _held(run_id, attempt)
        run = runs.select_related("plan").first()
        if run is None:
            return False
        try:
            check_gates(run.step_id, plans.step_gates(run), report)
        except GateError as exc:
            moved = move(
                runs, RunState.FAILED, report=document, error_code=exc.code, error_message=str(exc)
            )
        else:
            moved = move(runs, RunState.SUCCEEDED, report=document)
        if not moved:
            return False
        _end_attempt(run_id, attempt, AttemptState.SUCCEEDED, exit_status=0)
        run.refresh_from_db()
        if run.state == RunState.SUCCEEDED:
            for publish in _publishers():
                publish(run, report)
        _settle(run)
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
        if not _held(run_id, attempt).exists():
            return False
        _end_attempt(run_id, attempt, AttemptState.FAILED, exit_status=exit_status, message=message)
        message = _without_nul(message)
        if is_retryable:
            return _give_up(run_id, attempt, code=code, message=message)
        return _end(run_id, attempt, RunState.FAILED, code=code, message=message)


def finish_stopped(run_id: UUID, attempt: int, *, exit_status: int) -> bool:
    """The attempt ended because we asked it to; False when fenced.

    A cancelled run is cancelled; one that was stopped because its worker is shutting down is queued
    again, and the attempt is not held against it.
    """
    with transaction.atomic():
        if not _held(run_id, attempt).exists():
            return False
        _end_attempt(run_id, attempt, AttemptState.STOPPED, exit_status=exit_status)
        return _end(run_id, attempt, RunState.CANCELLED) or enqueue(_held(run_id, attempt))


def attempt_lost(
    run_id: UUID, attempt: int, *, message: str, exit_status: int | None = None
) -> bool:
    """The attempt died without a word; the run is queued again, or ends when that happened often.

    False when fenced.
    """
    with transaction.atomic():
        if not _held(run_id, attempt).exists():
            return False
        _end_attempt(run_id, attempt, AttemptState.LOST, exit_status=exit_status, message=message)
        return _give_up(run_id, attempt, code=WORKER_LOST, message=message)


def slot_abandon(slot: str) -> int:
    """Attempts that the database shows on `slot` are lost; how many there were.

    Only for a caller who knows that no process works there: it holds the slot's file lock, which a
    supervisor and its child hold for as long as either lives.
    """
    held = Run.objects.active().filter(owner=slot).values_list("pk", "attempt")
    return sum(
        attempt_lost(run_id, attempt, message=f"the worker on {slot} died")
        for run_id, attempt in held
    )


def active_owners() -> list[str]:
    """Slots on which the database shows a run."""
    return list(Run.objects.active().values_list("owner", flat=True))


def reap_expired(*, is_dry_run: bool = False) -> list[tuple[UUID, int]]:
    """(run, attempt) whose lease ran out; they are lost now, unless `is_dry_run`."""
    expired = Run.objects.active().filter(lease_expires_at__lt=Now())
    found = list(expired.values_list("pk", "attempt"))
    if is_dry_run:
        return found
    return [(run_id, attempt) for run_id, attempt in found if attempt_expired(run_id, attempt)]


def attempt_expired(run_id: UUID, attempt: int) -> bool:
    """The attempt is lost, if its lease has run out; False if it was renewed meanwhile."""
    with transaction.atomic():
        if not _held(run_id, attempt).filter(lease_expires_at__lt=Now()).exists():
            return False
        message = f"no heartbeat for {settings.STUDIO_LEASE_SECONDS:g} s"
        return attempt_lost(run_id, attempt, message=message)


def _held(run_id: UUID, attempt: int) -> RunQuerySet:
    """The run, if `attempt` still holds it."""
    return Run.objects.filter(pk=run_id, attempt=attempt, state__in=ACTIVE_STATES)


def _give_up(run_id: UUID, attempt: int, *, code: str, message: str) -> bool:
    """After a loss: cancelled if that was asked for, else queued again or failed."""
    if _end(run_id, attempt, RunState.CANCELLED):
        return True
    again = _held(run_id, attempt).filter(num_lost__lt=F("max_attempts") - 1)
    if enqueue(again, num_lost=F("num_lost") + 1):
        return True
    return _end(
        run_id,
        attempt,
        RunState.FAILED,
        num_lost=F("num_lost") + 1,
        code=code,
        message=f"{message}; no attempt is left. Resume the run once the cause is mended",
    )


def _end(
    run_id: UUID,
    attempt: int,
    state: RunState,
    *,
    code: str = "",
    message: str = "",
    **changes: object,
) -> bool:
    runs = _held(run_id, attempt)
    if not move(runs, state, error_code=code, error_message=message, **changes):
        return False
    _settle(Run.objects.get(pk=run_id))
    return True


def _settle(run: Run) -> None:
    if run.plan_id is not None:
        plans.advance(run.plan_id)


def _end_attempt(
    run_id: UUID,
    attempt: int,
    state: AttemptState,
    *,
    exit_status: int | None,
    message: str = "",
) -> None:
    Attempt.objects.filter(run_id=run_id, number=attempt, state__in=LIVE_ATTEMPT_STATES).update(
        state=state, ended_at=Now(), exit_status=exit_status, message=message
    )


def _event(line: bytes, run_id: UUID, attempt: int) -> Event | None:
    try:
        event = parse_event(_without_nul(line.decode(errors="replace")))
    except ValidationError as exc:
        logger.warning("run %s attempt %d: not an event: %s", run_id, attempt, exc)
        return None
    if event.run_id != str(run_id) or event.attempt != attempt:
        logger.warning("run %s attempt %d: event of another attempt", run_id, attempt)
        return None
    return event


def _without_nul(document: str) -> str:
    """PostgreSQL stores no NUL, not even escaped in JSON; a model's output may hold one."""
    return document.replace("\\u0000", "\\ufffd").replace("\x00", "\ufffd")


def _progress_columns(event: Event) -> dict[str, object]:
    progress = event.payload
    if not isinstance(progress, Progress):
        raise TypeError(f"expected a Progress event, got {event.kind}")
    return {
        "progress_stage": progress.stage,
        "progress_done": progress.done,
        "progress_total": progress.total,
        "progress_unit": progress.unit,
        "progress_eta_seconds": progress.eta_seconds,
        "progress_at": Now(),
    }


def _earlier_attempts(run: Run) -> tuple[tuple[UUID, int], ...]:
    """Those of this run, then those of the ended runs it continues."""
    found: list[tuple[UUID, int]] = []
    current: Run | None = run
    newest = run.attempt - 1
    while current is not None:
        found.extend((current.pk, number) for number in range(newest, 0, -1))
        current = current.continues
        newest = current.attempt if current is not None else 0
    return tuple(found)


def _publishers() -> list[Publisher]:
    return [import_string(dotted) for dotted in settings.STUDIO_RUN_PUBLISHERS]

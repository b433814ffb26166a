"""A run is claimed as a new attempt, and held by renewing its lease."""

import logging
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from studio.runs.disk import has_room
from studio.runs.lifecycle.fence import held
from studio.runs.lifecycle.losses import slot_abandon
from studio.runs.models import Attempt, Outbox, Run
from studio.runs.rights import run_refuse
from studio.runs.states import LIVE_ATTEMPT_STATES, AttemptState, RunState
from studio.runs.transitions import db_time_after, move

logger = logging.getLogger(__name__)

MAX_CANDIDATES = 100
"""Others may be claiming the same runs, from the oldest on."""


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
    with the process that held the lock before, and is given up first. A run that its starter may
    no longer start is cancelled instead.
    """
    with transaction.atomic():
        slot_abandon(slot)
        if run_refuse(run_id):
            return None
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


def claim_oldest(run_id: UUID, *, slot: str, queue: str) -> Claim | None:
    """The run of the queue that waits longest is running on `slot`; None if none can be claimed.

    A message names `run_id`, and means only that something waits. Were it taken at its word, a run
    whose own message was lost would wait for as long as others keep coming. When an older run is
    taken, the message of `run_id` is spent, so another one will be sent. A run that does not fit on
    the disk waits, and holds nobody up.
    """
    waiting = Run.objects.filter(queue=queue, state=RunState.QUEUED, cancel_requested_at=None)
    oldest = waiting.order_by("created_at", "pk").values_list("pk", flat=True)
    slot_abandon(slot)  # what was running here waits again, and perhaps longest
    for candidate in list(oldest[:MAX_CANDIDATES]):
        if not has_room(candidate):
            logger.info("run %s stays queued until there is room on the disk", candidate)
            continue
        with transaction.atomic():
            claimed = claim(candidate, slot=slot, queue=queue)
            if claimed is not None and candidate != run_id:
                Outbox.objects.filter(run_id=run_id).update(sent_at=None)
        if claimed is not None:
            return claimed
    return None


def attempt_started(run_id: UUID, attempt: int, *, pid: int, resumed_from: str) -> bool:
    """The attempt's child process exists; False when fenced. Said twice, it is true once more."""
    updated = Attempt.objects.filter(
        run_id=run_id, number=attempt, state__in=LIVE_ATTEMPT_STATES
    ).update(state=AttemptState.RUNNING, pid=pid, resumed_from=resumed_from)
    return updated == 1


def renew(run_id: UUID, attempt: int) -> bool:
    """The lease ends one full term from now; False when fenced."""
    lease_expires_at = db_time_after(settings.STUDIO_LEASE_SECONDS)
    return held(run_id, attempt).update(lease_expires_at=lease_expires_at) == 1


def is_cancel_requested(run_id: UUID, attempt: int) -> bool:
    """A person asked for the end of the run that the attempt holds."""
    return held(run_id, attempt).filter(state=RunState.CANCELLING).exists()


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

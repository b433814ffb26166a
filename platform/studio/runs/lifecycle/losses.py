"""An attempt ends without a word: its child died, its slot is empty, or its lease ran out."""

from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from studio.runs import plans
from studio.runs.lifecycle.ends import end_attempt, give_up
from studio.runs.lifecycle.fence import held, lock_held
from studio.runs.models import Run
from studio.runs.states import AttemptState
from studio.runs.transitions import db_time_after

WORKER_LOST = "worker.lost"


def attempt_lost(
    run_id: UUID, attempt: int, *, message: str, exit_status: int | None = None
) -> bool:
    """The attempt died without a word; the run is queued again, or ends when that happened often.

    False when fenced.
    """
    with transaction.atomic():
        plans.lock_plan(run_id)
        if not lock_held(run_id, attempt):
            return False
        end_attempt(run_id, attempt, AttemptState.LOST, exit_status=exit_status, message=message)
        return give_up(run_id, attempt, code=WORKER_LOST, message=message)


def slot_abandon(slot: str) -> int:
    """Attempts that the database shows on `slot` are lost; how many there were.

    Only for a caller who knows that no process works there: it holds the slot's file lock, which a
    supervisor and its child hold for as long as either lives.
    """
    shown = Run.objects.active().filter(owner=slot).values_list("pk", "attempt")
    return sum(
        attempt_lost(run_id, attempt, message=f"the worker on {slot} died")
        for run_id, attempt in shown
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
    # No lease is longer than one term, except where the database's clock was set back since: its
    # holder renews it at its next heartbeat, or it runs out one term from now.
    longest = db_time_after(settings.STUDIO_LEASE_SECONDS)
    Run.objects.active().filter(lease_expires_at__gt=longest).update(lease_expires_at=longest)
    return [(run_id, attempt) for run_id, attempt in found if attempt_expired(run_id, attempt)]


def attempt_expired(run_id: UUID, attempt: int) -> bool:
    """The attempt is lost, if its lease has run out; False if it was renewed meanwhile."""
    with transaction.atomic():
        plans.lock_plan(run_id)
        expired = held(run_id, attempt).filter(lease_expires_at__lt=Now())
        if expired.select_for_update().values_list("pk").first() is None:
            return False
        message = f"no heartbeat for {settings.STUDIO_LEASE_SECONDS:g} s"
        return attempt_lost(run_id, attempt, message=message)

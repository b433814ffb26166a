"""Events of an attempt reach the database."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from pipeline.contracts.events import Event, Progress, RunWarning, parse_event
from pipeline.contracts.storable import storable_json, storable_value
from studio.runs.lifecycle.fence import held, lock_held
from studio.runs.lifecycle.stored_text import fitting
from studio.runs.models import Run, RunEvent

logger = logging.getLogger(__name__)

SUPERVISOR_SEQ = 0
"""Children count their events from 1."""


def ingest_events(run_id: UUID, attempt: int, lines: Sequence[bytes]) -> bool:
    """The events are stored and the run's progress columns follow the newest; False when fenced.

    Idempotent on (run, attempt, seq): lines may be sent again after a failure. A line that is not
    an event of this attempt is logged and left out.
    """
    events = [event for line in lines if (event := _event(line, run_id, attempt)) is not None]
    said = (event.payload for event, _at in reversed(events))
    progress = next((payload for payload in said if isinstance(payload, Progress)), None)
    with transaction.atomic():
        if not lock_held(run_id, attempt):
            return False
        if progress is not None:
            held(run_id, attempt).update(**_progress_columns(progress))
        RunEvent.objects.bulk_create(
            [
                RunEvent(
                    run_id=run_id,
                    attempt=attempt,
                    seq=event.seq,
                    at=at,
                    kind=event.payload.kind,
                    payload=storable_value(event.payload.model_dump(mode="json")),
                )
                for event, at in events
            ],
            ignore_conflicts=True,
        )
    return True


def attempt_warned(run_id: UUID, attempt: int, *, code: str, message: str) -> bool:
    """The attempt's first event is a warning of its supervisor; False when fenced."""
    warning = RunWarning(code=code, message=message)
    with transaction.atomic():
        if not lock_held(run_id, attempt):
            return False
        RunEvent.objects.get_or_create(
            run_id=run_id,
            attempt=attempt,
            seq=SUPERVISOR_SEQ,
            defaults={"at": Now(), "kind": warning.kind, "payload": warning.model_dump()},
        )
    return True


def _event(line: bytes, run_id: UUID, attempt: int) -> tuple[Event, datetime] | None:
    try:
        event = parse_event(storable_json(line))
        at = datetime.fromisoformat(event.at)
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as exc:  # a ValidationError is a ValueError
        logger.warning("run %s attempt %d: not an event: %.500s", run_id, attempt, exc)
        return None
    if event.run_id != str(run_id) or event.attempt != attempt:
        logger.warning("run %s attempt %d: event of another attempt", run_id, attempt)
        return None
    return event, at


def _progress_columns(progress: Progress) -> dict[str, object]:
    return {
        "progress_stage": fitting(Run, "progress_stage", progress.stage),
        "progress_done": progress.done,
        "progress_total": progress.total,
        "progress_unit": fitting(Run, "progress_unit", progress.unit),
        "progress_eta_seconds": progress.eta_seconds,
        "progress_at": Now(),
    }

"""Events of an attempt reach the database."""

import logging
from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from pydantic import ValidationError

from pipeline.contracts.events import Event, Progress, parse_event
from studio.runs.lifecycle.fence import held
from studio.runs.lifecycle.stored_text import without_nul
from studio.runs.models import RunEvent

logger = logging.getLogger(__name__)


def ingest_events(run_id: UUID, attempt: int, lines: Sequence[bytes]) -> bool:
    """The events are stored and the run's progress columns follow the newest; False when fenced.

    Idempotent on (run, attempt, seq): lines may be sent again after a failure. A line that is not
    an event of this attempt is logged and left out.
    """
    events = [event for line in lines if (event := _event(line, run_id, attempt)) is not None]
    progress = next((e for e in reversed(events) if isinstance(e.payload, Progress)), None)
    with transaction.atomic():
        runs = held(run_id, attempt)
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


def _event(line: bytes, run_id: UUID, attempt: int) -> Event | None:
    try:
        event = parse_event(without_nul(line.decode(errors="replace")))
    except ValidationError as exc:
        logger.warning("run %s attempt %d: not an event: %s", run_id, attempt, exc)
        return None
    if event.run_id != str(run_id) or event.attempt != attempt:
        logger.warning("run %s attempt %d: event of another attempt", run_id, attempt)
        return None
    return event


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

"""Which queued runs still need a wake-up message; read and ticked off by the dispatcher."""

from django.db.models import F, Q
from django.db.models.functions import Now

from studio.runs.models import Outbox
from studio.runs.states import RunState
from studio.runs.transitions import db_time_after


def outbox_due(*, resend_seconds: float) -> list[Outbox]:
    """Messages never sent, or sent longer ago than `resend_seconds` and still not acted upon.

    Oldest run first. With its `run`, of which only `queue` is loaded.
    """
    never_sent = Q(sent_at=None)
    # Sent in the future: the database's clock was set back since.
    perhaps_lost = Q(sent_at__lt=db_time_after(-resend_seconds)) | Q(sent_at__gt=Now())
    return list(
        Outbox.objects.filter(never_sent | perhaps_lost, run__state=RunState.QUEUED)
        .select_related("run")
        .only("run__queue", "created_at", "sent_at", "times_sent")
        .order_by("run__created_at")
    )


def outbox_sent(message: Outbox) -> None:
    """The message was handed to the broker now."""
    Outbox.objects.filter(pk=message.pk).update(sent_at=Now(), times_sent=F("times_sent") + 1)

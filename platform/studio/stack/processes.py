"""Child processes that are kept alive, and ended together.

Each leads its own session, so that a Ctrl-C in the terminal reaches only the launcher, which ends
them in order; and each is ended by the kernel when the launcher is killed.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings

EXEC_CHILD = settings.ROOT / "workers" / "exec_child.py"
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
STABLE_SECONDS = 30.0
"""A process that lived this long is restarted at once when it dies."""
POLL_SECONDS = 0.05
MAX_LOG_BYTES = 10_000_000
"""A longer log is set aside, while its process runs too; one predecessor is kept."""


class ManagedProcess:
    """A command that should be running."""

    def __init__(self, name: str, command: Iterable[str], *, log_dir: Path) -> None:
        self.name = name
        self._command = tuple(command)
        self._log_path = log_dir / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._delay = 0.0

    def start(self) -> None:
        """The command runs. Its output is added to `<log dir>/<name>.log`."""
        guard = [sys.executable, "-S", "-E", str(EXEC_CHILD), str(os.getpid())]
        roots = os.pathsep.join((str(settings.ROOT), str(settings.ROOT / "platform")))
        self._turn_log_over()
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 (our own programs, no shell)
                [*guard, str(signal.SIGTERM.value), "0", "0", *self._command],
                cwd=settings.ROOT,
                env=os.environ | {"PYTHONPATH": roots, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started = time.monotonic()

    def keep_alive(self) -> str | None:
        """The command runs, or will after a pause that doubles while it keeps dying.

        Returns:
            A line for people when it was found dead, else None.
        """
        if self._process is None:
            if time.monotonic() >= self._started:
                self.start()
            return None
        self._turn_log_over()
        status = self._process.poll()
        if status is None:
            return None
        self._signal_group(signal.SIGTERM)  # its own children must not serve beside the successor
        lived = time.monotonic() - self._started
        grown = min(LONGEST_DELAY_SECONDS, max(FIRST_DELAY_SECONDS, 2 * self._delay))
        self._delay = 0.0 if lived >= STABLE_SECONDS else grown
        self._process = None
        self._started = time.monotonic() + self._delay
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return f"{self.name} {how}; starting it again (log: {self._log_path})"

    def request_stop(self) -> None:
        """The command was asked to end."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def has_ended(self) -> bool:
        """The command does not run."""
        return self._process is None or self._process.poll() is not None

    def kill(self) -> None:
        """The command and what it started have ended."""
        if self._process is not None:
            self._signal_group(signal.SIGKILL)
            self._process.wait()

    def _turn_log_over(self) -> None:
        """Copied and emptied, because the process holds the file open; it goes on at its start.

        A line that is written between the two is lost.
        """
        with contextlib.suppress(FileNotFoundError):
            if self._log_path.stat().st_size > MAX_LOG_BYTES:
                predecessor = self._log_path.with_suffix(".log.1")
                try:
                    shutil.copyfile(self._log_path, predecessor)
                except OSError:  # the disk is full: room is worth more than old lines
                    predecessor.unlink(missing_ok=True)
                os.truncate(self._log_path, 0)

    def _signal_group(self, number: int) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def stop_all(processes: Iterable[ManagedProcess], *, deadline: float) -> None:
    """All have ended; those that did not by `deadline` (monotonic) were killed."""
    processes = tuple(processes)
    for process in processes:
        process.request_stop()
    while not all(process.has_ended() for process in processes) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    for process in processes:
        process.kill()

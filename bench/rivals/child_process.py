"""A process that is spoken to in lines and sleeps in between."""

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from bench.answering.turns import NotRun

ROOT = Path(__file__).resolve().parents[2]
CLOSING_SECONDS = 20.0
LAST_WORDS = 200
"""Characters of its standard error that tell why it ended."""
_OURS = frozenset({"PYTHONPATH", "PYTHONHOME"})
"""Of the environment, what would show the child our packages."""


class ChildProcess:
    """Runs `command` in the root of the repository; to be closed.

    Raises:
        NotRun: it cannot be started.
    """

    def __init__(self, command: Sequence[str], *, threads: int) -> None:
        environment = {key: value for key, value in os.environ.items() if key not in _OURS}
        environment |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(threads)}
        self._unread = b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        try:
            self._process = subprocess.Popen(  # noqa: S603 (our own list, no shell)
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                # A group of its own: a signal reaches all it started.
                process_group=0,
            )
        except OSError as exc:
            self._errors.close()
            raise NotRun(f"{command[0]} does not start: {exc.strerror}") from exc

    def say(self, line: bytes) -> None:
        """The process is awake and was given the line.

        Raises:
            NotRun: it has ended.
        """
        self._signal(signal.SIGCONT)
        try:
            cast("IO[bytes]", self._process.stdin).write(line + b"\n")
        except BrokenPipeError:
            raise NotRun(self._end()) from None

    def hear(self, patience: float) -> bytes:
        """Its next line, at most `patience` seconds from now; it and all it started then sleep.

        Raises:
            NotRun: it has ended or says nothing.
        """
        output = cast("IO[bytes]", self._process.stdout)
        deadline = time.monotonic() + patience
        while b"\n" not in self._unread:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([output], [], [], left)[0]:
                raise NotRun(f"it said nothing for {patience:.0f} s")
            read = output.read(1 << 16)
            if not read:
                raise NotRun(self._end())
            self._unread += read
        self._signal(signal.SIGSTOP)
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def close(self) -> None:
        """It and all it started have ended; may be called twice."""
        cast("IO[bytes]", self._process.stdin).close()
        self._signal(signal.SIGCONT)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSING_SECONDS)
        self._signal(signal.SIGKILL)
        self._process.wait()
        cast("IO[bytes]", self._process.stdout).close()
        self._errors.close()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _end(self) -> str:
        """With which status it ended, and its last words."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSING_SECONDS)
        self._errors.seek(0)
        words = " ".join(self._errors.read().decode(errors="replace").split())
        return f"it ended with status {self._process.poll()}: {words[-LAST_WORDS:] or 'no word'}"

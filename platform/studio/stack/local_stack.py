"""Everything the platform needs, on one machine, for one data directory."""

import contextlib
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

from django.conf import settings
from django.core.management import call_command

from pipeline.errors import StackError
from studio.stack.processes import ManagedProcess, stop_all

READY_SECONDS = 120.0
PORT_WAIT_SECONDS = 10.0
POLL_SECONDS = 0.1
EXTRA_STOP_SECONDS = 10.0
"""On top of the grace a stopping run is given."""
HOST = "127.0.0.1"


class LocalStack:
    """Broker, web server, dispatcher and two workers, kept alive until `stop`.

    Use as a context manager in the main thread: inside, SIGINT and SIGTERM only set
    `stop_requested`; a second signal ends the wait for running work.
    """

    def __init__(self, *, port: int, say: Callable[[str], None]) -> None:
        self._port = port
        self._say = say
        self._num_signals = 0
        self._lock: int | None = None
        self._handlers: dict[int, signal.Handlers | Callable[..., object] | int | None] = {}
        log_dir = settings.STUDIO_DATA_DIR / "log"

        def process(name: str, *command: str) -> ManagedProcess:
            return ManagedProcess(name, (sys.executable, "-m", *command), log_dir=log_dir)

        self._log_dir = log_dir
        # With REDIS_URL the broker is someone else's.
        self._broker = None if settings.STUDIO_REDIS_URL else process("broker", "workers", "broker")
        self._services = (
            process("web", "manage", "serve", "--host", HOST, "--port", str(port)),
            process("dispatcher", "workers", "dispatcher"),
            process("compute-0", "workers", "worker", "compute-0"),
            process("interactive-0", "workers", "worker", "interactive-0"),
        )  # fmt: skip

    @property
    def url(self) -> str:
        """Where the browser finds the platform."""
        return f"http://{HOST}:{self._port}"

    @property
    def stop_requested(self) -> bool:
        """A signal asked for the end."""
        return self._num_signals > 0

    def __enter__(self) -> Self:
        """Everything runs and the web server answers.

        Raises:
            StackError: it runs already for this data directory, the port is taken, or a service
                does not come up.
        """
        self._log_dir.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_lock()
        self._catch_signals()
        try:
            self._wait_for_port()
            call_command("migrate", interactive=False, verbosity=0)
            if self._broker is not None:
                self._broker.start()
                self._wait_until(_broker_answers, self._broker)
            for process in self._services:
                process.start()
            self._wait_until(lambda: _accepts(HOST, self._port), self._services[0])
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def keep_alive(self) -> None:
        """Every service runs, or will after a pause."""
        for process in self._all():
            line = process.keep_alive()
            if line is not None:
                self._say(line)

    def stop(self) -> None:
        """Everything has ended; a running training has saved a checkpoint, if time allowed."""
        grace = settings.STUDIO_STOP_GRACE_SECONDS + EXTRA_STOP_SECONDS
        deadline = time.monotonic() + grace
        for process in self._services:
            process.request_stop()
        signals_before = self._num_signals
        while not all(process.has_ended() for process in self._services):
            if time.monotonic() > deadline or self._num_signals > max(1, signals_before):
                break
            time.sleep(POLL_SECONDS)
        stop_all(self._services, deadline=time.monotonic())
        if self._broker is not None:
            stop_all([self._broker], deadline=time.monotonic() + EXTRA_STOP_SECONDS)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _all(self) -> tuple[ManagedProcess, ...]:
        return self._services if self._broker is None else (self._broker, *self._services)

    def _take_lock(self) -> int:
        path = settings.STUDIO_DATA_DIR / "up.lock"
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = os.pread(lock, 200, 0).decode()
            os.close(lock)
            raise StackError(
                "stack.already_running",
                f"the platform already runs for {settings.STUDIO_DATA_DIR} ({holder}); "
                "stop it there, or set STUDIO_DATA_DIR to another directory",
            ) from exc
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"process {os.getpid()}, {self.url}".encode(), 0)
        return lock

    def _catch_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._num_signals += 1

    def _wait_for_port(self) -> None:
        deadline = time.monotonic() + PORT_WAIT_SECONDS  # a killed predecessor may still be leaving
        while not _is_free(HOST, self._port):
            if time.monotonic() > deadline or self.stop_requested:
                raise StackError(
                    "stack.port_taken",
                    f"port {self._port} of {HOST} is used by another program; "
                    "choose one with --port",
                )
            time.sleep(POLL_SECONDS)

    def _wait_until(self, is_ready: Callable[[], bool], process: ManagedProcess) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not is_ready():
            if self.stop_requested:
                return
            if process.has_ended() or time.monotonic() > deadline:
                raise StackError(
                    "stack.not_ready",
                    f"{process.name} did not come up; see {self._log_dir / process.name}.log",
                )
            time.sleep(POLL_SECONDS)


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind((host, port))
            return True
    return False


def _accepts(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def _broker_answers() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        probe.connect(str(settings.STUDIO_BROKER_SOCKET))
        probe.sendall(b"*1\r\n$4\r\nPING\r\n")
        return probe.recv(16).startswith(b"+PONG")
    return False

"""A whole platform that faults are made on: real processes, one data directory, one database.

The counting program stands where the pipeline stands (`tests/supervision/counting_program.py`):
its final state is that of an undisturbed run only if no step was skipped or repeated, and it
publishes a checkpoint, as a training does.
"""

import contextlib
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import psycopg

from tests.small_disk import SmallDisk, small_disk
from tests.supervision.black_hole import BlackHole
from tests.supervision.local_platform import Platform
from tests.supervision.postgres_server import database_url

STEPS = 40
PAUSE_SECONDS = 0.05
DISK_BYTES = 64 << 20
APPLICATION = "platform"
"""What PostgreSQL knows the connections of the platform's processes by."""
MOVED_CLOCK = Path(__file__).with_name("moved_clock.c")
PROGRAMS = {"worker": "workers worker compute-0", "dispatcher": "workers dispatcher"}


class Subject:
    """One platform, with what is needed to hurt it."""

    def __init__(
        self,
        directory: Path,
        *,
        database: str,
        server_port: int,
        lease_seconds: float,
        has_clock: bool,
    ) -> None:
        self.database = database
        self.lease_seconds = lease_seconds
        self._resources = contextlib.ExitStack()
        data_dir = directory / "data"
        url = database_url(server_port) if database == "postgres" else ""
        self.platform = Platform(
            data_dir, server_url=url, STUDIO_LEASE_SECONDS=f"{lease_seconds:g}"
        )
        self.disk: SmallDisk = self._resources.enter_context(
            small_disk(data_dir / "runs", num_bytes=DISK_BYTES)
        )
        self.hole: BlackHole | None = None
        self.clock: Path | None = None
        self._clock_offset_seconds = 0
        try:
            self._prepare(directory, server_port, has_clock=has_clock)
            self.platform.start()
        except BaseException:
            self.close()
            raise

    def _prepare(self, directory: Path, server_port: int, *, has_clock: bool) -> None:
        self.platform.ask("broker_socket")  # the servant stands outside of what follows
        self.platform.environment["PGAPPNAME"] = APPLICATION
        if self.database == "postgres":
            self.hole = BlackHole("127.0.0.1", server_port)
            self._resources.callback(self.hole.close)
            parts = urlsplit(self.platform.database.url)
            through = parts._replace(netloc=f"{parts.username}@127.0.0.1:{self.hole.port}")
            self.platform.environment["DATABASE_URL"] = urlunsplit(through)
        if has_clock:
            self.clock = directory / "clock"
            self.step_clock(0)
            library = directory / "moved_clock.so"
            build = ["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(MOVED_CLOCK), "-ldl"]
            subprocess.run(build, check=True)  # noqa: S603 (our own source)
            self.platform.environment |= {
                "LD_PRELOAD": str(library), "MOVED_CLOCK": str(self.clock),
            }  # fmt: skip

    def close(self) -> None:
        """Nothing of the platform is left."""
        with contextlib.suppress(AssertionError):  # a locked database is among the faults
            self.platform.close()
        self._resources.close()
        shutil.rmtree(self.platform.data_dir, ignore_errors=True)

    # --- runs -----------------------------------------------------------------------------

    def start_run(self, num_steps: int = STEPS) -> UUID:
        """A training of the counting program is queued."""
        orders = f"steps={num_steps} pause={PAUSE_SECONDS}"
        (run_id,) = self.platform.start_runs(self.platform.training_spec(orders))
        return run_id

    def state(self, run_id: UUID) -> str:
        """The run's state."""
        return str(self.platform.run(run_id)["state"])

    def attempt(self, run_id: UUID) -> int:
        """Number of the run's newest attempt."""
        return int(self.platform.run(run_id)["attempt"])

    def is_attempt_over(self, run_id: UUID, number: int) -> bool:
        """The database knows that the attempt has ended."""
        states = {row["number"]: row["state"] for row in self.platform.attempts(run_id)}
        return states.get(number) not in {None, "starting", "running"}

    def attempt_dir(self, run_id: UUID, number: int) -> Path:
        """Where the attempt writes."""
        return Path(self.platform.data_dir) / "runs" / str(run_id) / f"attempt-{number}"

    def wait(self, condition: Callable[[], object], seconds: float) -> bool:
        """Whether `condition` held within the time; a database that does not answer is asked on."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(sqlite3.OperationalError, psycopg.OperationalError):
                if condition():
                    return True
            time.sleep(0.1)
        return False

    # --- processes ------------------------------------------------------------------------

    def child(self, run_id: UUID) -> int:
        """Process id of the run's child.

        Raises:
            ProcessLookupError: it has none.
        """
        pid = self.platform.attempts(run_id)[-1]["pid"]
        if not pid:
            raise ProcessLookupError(f"run {run_id} has no child now")
        return int(pid)

    def processes_of_slot(self) -> list[int]:
        """Every living process of the compute slot's child, inside its confinement or not."""
        (lock,) = (self.platform.data_dir / "slots").glob("*-compute-0.lock")
        return self.platform.processes_of_slot(lock)

    def supervisor(self, run_id: UUID) -> int:
        """The pool process that supervises the run."""
        return self.platform.parent(self.child(run_id))

    def service(self, name: str) -> int:
        """Process id of a service that `up` keeps alive; 0 while there is none."""
        up = self.platform.up
        children = self.platform.children(up.pid) if up is not None else []
        for pid in children:
            command = self.platform.command_line(pid)
            is_broker, is_web = "valkey" in command, "workers" not in command
            words = PROGRAMS.get(name)
            if words is not None and words in command:
                return int(pid)
            if (name == "broker" and is_broker) or (name == "web" and is_web and not is_broker):
                return int(pid)
        return 0

    @contextlib.contextmanager
    def paused(self, *pids: int) -> Iterator[None]:
        """The processes are stopped inside."""
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    # --- database and clock ---------------------------------------------------------------

    @contextlib.contextmanager
    def locked_database(self) -> Iterator[None]:
        """Nobody else reads or writes runs inside."""
        if self.database == "sqlite":
            path = self.platform.data_dir / "studio.sqlite3"
            connection = sqlite3.connect(path, isolation_level=None, timeout=20)
            connection.execute("BEGIN EXCLUSIVE")
            try:
                yield
            finally:
                connection.execute("ROLLBACK")
                connection.close()
        else:
            with psycopg.connect(self.platform.database.url) as server:
                server.execute("LOCK TABLE runs_run, runs_attempt IN ACCESS EXCLUSIVE MODE")
                yield

    def cut_connections(self) -> int:
        """How many connections to the platform's database PostgreSQL has ended."""
        with psycopg.connect(self.platform.database.url, autocommit=True) as server:
            rows = server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = %s",
                [APPLICATION],
            ).fetchall()
        return len(rows)

    def now(self) -> float:
        """Seconds since 1970 as the database notes them: PostgreSQL's server has its own clock."""
        return time.time() + (self._clock_offset_seconds if self.database == "sqlite" else 0)

    def step_clock(self, seconds: int) -> None:
        """Every process of the platform reads another time of day; PostgreSQL's server does not."""
        if self.clock is None:
            raise RuntimeError("this platform was not started with a clock that can be moved")
        self._clock_offset_seconds += seconds
        with self.clock.open("r+b" if self.clock.exists() else "wb") as file:
            file.write(struct.pack("=q", self._clock_offset_seconds))

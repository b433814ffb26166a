"""A whole platform in a directory of its own: real processes, a real database, a real Valkey.

The database is SQLite, or one of its own on the PostgreSQL of DATABASE_URL.
"""

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.supervision.platform_database import open_database

ROOT = Path(__file__).resolve().parents[2]
EXEC_CHILD = ROOT / "workers" / "exec_child.py"
COUNTING_PROGRAM = Path(__file__).with_name("counting_program.py")
LEASE_SECONDS = 12
PATIENCE_SECONDS = 90.0
"""Longest wait for what should take a second: CI machines are busy."""
STOP_GRACE_SECONDS = 3
SERVANT_SCRIPT = """
import json, sys
import django; django.setup()
import redis
from django.conf import settings
from pipeline.contracts.documents import read_plan_spec, read_run_spec
from studio.accounts.models import Membership, Project, Role, User
from studio.runs import services
from studio.runs.models import Run
from workers import dispatcher
from workers.app import app

def people():
    project, _ = Project.objects.get_or_create(slug="demo", defaults={"name": "Demo"})
    actor, _ = User.objects.get_or_create(username="engineer")
    Membership.objects.get_or_create(project=project, user=actor, defaults={"role": Role.ENGINEER})
    return project, actor

def start(spec):
    project, actor = people()
    if spec["kind"] == "plan":
        made = services.plan_create(
            project=project, actor=actor, spec=read_plan_spec(json.dumps(spec))
        )
    else:
        made = services.run_create(
            project=project, actor=actor, spec=read_run_spec(json.dumps(spec))
        )
    return str(made.pk)

def act(service, run_id):
    run = Run.objects.get(pk=run_id)
    return str(getattr(services, service)(run=run, actor=people()[1]).pk)

def broker_socket():
    return str(settings.STUDIO_BROKER_SOCKET)

def flush_broker():
    redis.Redis(unix_socket_path=broker_socket()).flushall()

def send_due_messages(resend_seconds):
    return dispatcher.send_due_messages(resend_seconds=resend_seconds)

def send_wake_up(run_id):
    app.send_task("workers.tasks.wake", args=(run_id,), queue="compute")

for line in sys.stdin:
    name, *arguments = json.loads(line)
    print(json.dumps(globals()[name](*arguments)), flush=True)
"""
"""Plays the people: one process, because setting up Django for each request takes a second."""


class Platform:
    """One data directory and the processes that work on it."""

    def __init__(
        self, data_dir: Path, *, server_url: str | None = None, **environment: str
    ) -> None:
        self.data_dir = data_dir
        # There already when it is a file system of its own.
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data_dir / "models").mkdir()
        self.database = open_database(
            os.environ.get("DATABASE_URL", "") if server_url is None else server_url, data_dir
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.environment = (
            os.environ
            | {
                "DATABASE_URL": self.database.url,
                "STUDIO_DATA_DIR": str(data_dir),
                "STUDIO_LEASE_SECONDS": str(LEASE_SECONDS),
                "STUDIO_STOP_GRACE_SECONDS": str(STOP_GRACE_SECONDS),
                "STUDIO_PIPELINE_COMMAND": f"{sys.executable} {COUNTING_PROGRAM}",
                "DJANGO_SETTINGS_MODULE": "studio.settings",
                "PYTHONPATH": os.pathsep.join((str(ROOT / "platform"), str(ROOT))),
                "A_SECRET": "not for the child",
            }
            | environment
        )
        self.up: subprocess.Popen[bytes] | None = None
        self._servant: subprocess.Popen[str] | None = None

    # --- commands -------------------------------------------------------------------------

    def python(self, *arguments: str) -> str:
        """The standard output of a Python process with the platform's settings."""
        result = subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=self.environment, text=True,
            capture_output=True, check=False, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return result.stdout

    def ask(self, name: str, *arguments: Any) -> Any:
        """What a function of the servant returned."""
        if self._servant is None:
            self._servant = subprocess.Popen(
                [sys.executable, "-c", SERVANT_SCRIPT], cwd=ROOT, env=self.environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
        assert self._servant.stdin is not None
        assert self._servant.stdout is not None
        self._servant.stdin.write(json.dumps([name, *arguments]) + "\n")
        self._servant.stdin.flush()
        answer = self._servant.stdout.readline()
        assert answer, "the servant died; its traceback is above"
        return json.loads(answer)

    def start_runs(self, *specs: dict[str, Any]) -> list[UUID]:
        """Runs (or plans) of the specs are queued."""
        return [UUID(self.ask("start", spec)) for spec in specs]

    def start_run(self, name: str = "steps=10", **changes: Any) -> UUID:
        """A run of the counting program is queued; `name` holds its orders."""
        return self.start_runs(self.spec(name, **changes))[0]

    def spec(self, name: str, **changes: Any) -> dict[str, Any]:
        """A valid spec on the compute queue."""
        model = {"path": str(self.data_dir / "models" / "base")}
        prompts = {"path": str(self.data_dir / "models" / "a.jsonl"), "kind": "corpus"}
        gauge = {"prompts": prompts}
        kind = {"kind": "evaluate", "model": model, "base": model, "gauge": gauge, "name": name}
        return kind | changes

    def training_spec(self, name: str) -> dict[str, Any]:
        """A spec whose run publishes a checkpoint; `name` holds the counting program's orders."""
        corpus = {"path": str(self.data_dir / "models" / "a.jsonl"), "kind": "corpus"}
        return {
            "kind": "continual_pretrain",
            "model": {"path": str(self.data_dir / "models" / "base")},
            "sources": [{"name": "domain", "dataset": corpus, "weight": 1.0}],
            "num_tokens": 100,
            "optimizer": {"learning_rate": 0.001},
            "name": name,
        }

    def act(self, service: str, run_id: UUID) -> UUID:
        """`run_cancel` or `run_resume` was called for the run; the run it returned."""
        return UUID(self.ask("act", service, str(run_id)))

    def start(self) -> None:
        """`manage.py up` runs and says where."""
        # Ends with the tests, even when they are killed.
        guard = [sys.executable, str(EXEC_CHILD), str(os.getpid()), "15", "0", "0"]
        with (self.data_dir / "up.log").open("ab") as log:
            self.up = subprocess.Popen(
                [*guard, sys.executable, "manage.py", "up", "--port", str(self.port)],
                cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self.wait(lambda: "Ctrl-C stops" in self.output() or not self.is_up())
        assert self.is_up(), self.output()

    def close(self) -> None:
        """Nothing of the platform runs, and no log shows a lock error."""
        if self.is_up():
            self.stop(signal.SIGTERM)
        if self._servant is not None:
            self._servant.kill()
            self._servant.communicate()
        self.database.drop()
        assert "database is locked" not in self.log_text()

    def stop(self, number: int = signal.SIGINT) -> float:
        """`up` has ended; seconds it took."""
        assert self.up is not None
        began = time.monotonic()
        self.up.send_signal(number)
        self.up.wait(timeout=PATIENCE_SECONDS)
        (self.data_dir / "up.log").unlink()
        return time.monotonic() - began

    def is_up(self) -> bool:
        return self.up is not None and self.up.poll() is None

    def output(self) -> str:
        """What `up` printed."""
        return (self.data_dir / "up.log").read_text()

    # --- looking --------------------------------------------------------------------------

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Rows of the database, read past Django."""
        return self.database.rows(sql, *values)

    def run(self, run_id: UUID) -> dict[str, Any]:
        return self.rows("SELECT * FROM runs_run WHERE id = ?", run_id.hex)[0]

    def attempts(self, run_id: UUID) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM runs_attempt WHERE run_id = ? ORDER BY number", run_id.hex)

    def wait(self, condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> float:
        """`condition` holds; seconds it took."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > seconds:
                logs = sorted((self.data_dir / "log").glob("*.log"))
                tails = "\n".join(f"--- {log.name}\n{log.read_text()[-3000:]}" for log in logs)
                runs = self.rows("SELECT id, state, attempt, error_message FROM runs_run")
                raise AssertionError(
                    f"not within {seconds} s; runs {runs}\n{self.output()}\n{tails}"
                )
            time.sleep(0.05)
        return time.monotonic() - began

    def wait_for_state(
        self, run_id: UUID, *states: str, seconds: float = PATIENCE_SECONDS
    ) -> float:
        return self.wait(lambda: self.run(run_id)["state"] in states, seconds)

    def wait_for_step(self, run_id: UUID, step: int) -> None:
        """The newest attempt has counted to `step`."""
        self.wait(lambda: (self.run(run_id)["progress_done"] or 0) >= step)

    def last_checkpoint(self, run_id: UUID) -> int:
        """Step of the newest checkpoint that any attempt reported; 0 before the first."""
        sql = "SELECT payload FROM runs_runevent WHERE run_id = ? AND kind = 'CheckpointSaved'"
        steps = (json.loads(row["payload"])["step"] for row in self.rows(sql, run_id.hex))
        return max(steps, default=0)

    def state(self, run_id: UUID) -> str:
        """The final state that the run published."""
        return json.loads(self.run(run_id)["report"])["definitions"]["state"]

    def pid_of_child(self, run_id: UUID) -> int:
        """Process id of the running child."""
        self.wait(lambda: self.attempts(run_id) and self.attempts(run_id)[-1]["pid"])
        return self.attempts(run_id)[-1]["pid"]

    def descendants(self) -> list[int]:
        """Process ids of everything that `up` started, directly or not."""
        return _descendants(self.up.pid if self.up else -1)

    def children(self, pid: int) -> list[int]:
        """Process ids of the direct children of a process."""
        return _children().get(pid, [])

    def parent(self, pid: int) -> int:
        """Process id of the parent of a process."""
        return int(_stat(pid)[1])

    def processes_of_slot(self, lock: Path) -> list[int]:
        """Living processes that belong to the slot of a lock, inside a namespace or not."""
        marker = f"STUDIO_CHILD_OF_SLOT={lock}".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if marker in (process / "environ").read_bytes().split(b"\0"):
                    found.append(int(process.name))
        return found

    def open_files(self, pid: int) -> set[str]:
        """Paths that a process holds open."""
        return {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}

    def broker_socket(self) -> Path:
        """Where this platform's Valkey listens."""
        return Path(self.ask("broker_socket"))

    @staticmethod
    def now() -> float:
        """Seconds since 1970, for processes that must start together."""
        return time.time()

    def command_line(self, pid: int) -> str:
        """Program and arguments of a process."""
        return _command_line(pid)

    def pids_of(self, words: str) -> list[int]:
        """Processes that `up` started with these words in their command line."""
        children = self.children(self.up.pid if self.up else -1)
        return [pid for pid in children if words in _command_line(pid)]

    def pid_of(self, words: str) -> int:
        """The one such process."""
        (found,) = self.pids_of(words)
        return found

    # --- mischief -------------------------------------------------------------------------

    def flush_broker(self) -> None:
        """Every message in the broker is lost."""
        self.ask("flush_broker")

    def send_wake_up(self, run_id: UUID) -> None:
        """One more message asks to claim the run."""
        self.ask("send_wake_up", str(run_id))

    @staticmethod
    def expected_state(num_steps: int) -> str:
        """What the counting program ends with when nobody disturbs it."""
        state = ""
        for step in range(1, num_steps + 1):
            state = hashlib.sha256(f"{state} {step}".encode()).hexdigest()
        return state

    @staticmethod
    def is_alive(pid: int) -> bool:
        """The process exists and is no zombie."""
        try:
            return _stat(pid)[0] != "Z"
        except OSError:
            return False

    def log_text(self) -> str:
        """Everything the services logged."""
        return "".join(log.read_text() for log in (self.data_dir / "log").glob("*.log"))


def _stat(pid: int) -> list[str]:
    """State, parent and the other fields behind the name in /proc/<pid>/stat."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for directory in Path("/proc").glob("[0-9]*"):
        pid = int(directory.name)
        try:
            children.setdefault(int(_stat(pid)[1]), []).append(pid)
        except OSError:
            continue
    return children


def _descendants(pid: int) -> list[int]:
    children = _children()
    found, todo = [], [pid]
    while todo:
        for child in children.get(todo.pop(), []):
            found.append(child)
            todo.append(child)
    return found


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""

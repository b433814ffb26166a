"""A child can do only its work: each way of confining it, with a child that tries to get out.

Nothing here is skipped: on a machine where a way does not work these tests fail.
"""

import ctypes
import functools
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from studio.runs.paths import attempt_dir, run_dir
from studio.runs.states import Isolation
from workers.child import Child, Claim
from workers.devices import DeviceSlot

ROOT = Path(__file__).resolve().parents[2]
CANARY = Path(__file__).with_name("isolation_canary.py")
CONFINED = [way for way in Isolation if way is not Isolation.OFF]
HOW_THEY_START = (Isolation.BUBBLEWRAP, Isolation.LANDLOCK)
NO_NETWORK = {"loopback", "shared memory"}
"""What a child does without where no namespace can be made."""
PATIENCE_SECONDS = 20.0
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (of everybody on this machine)
HARMLESS_DEVICES = {
    *(f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty")),
    "/dev/ptmx",
    "/dev/pts/ptmx",
}
SEGMENT_KEY = 0x50000000 | os.getpid()


@dataclass
class World:
    """What a child must leave alone."""

    data_dir: Path
    home_file: Path
    shared_memory: Path
    host: str
    port: int
    victim: int
    heard: list[str] = field(default_factory=list)

    @property
    def other_run(self) -> Path:
        return self.data_dir / "runs" / "other" / "attempt-1" / "report.json"

    @property
    def inputs(self) -> list[Path]:
        return [self.data_dir / "models" / "base" / "config.json",
                self.data_dir / "uploads" / "rows.jsonl"]  # fmt: skip

    @property
    def secrets(self) -> list[Path]:
        return [
            self.data_dir / "secret_key", self.data_dir / "signing_key",
            self.data_dir / "studio.sqlite3", self.other_run,
            self.data_dir / "uploads" / "of_others.jsonl", self.home_file,
        ]  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, settings: Any) -> Iterator[World]:
    data_dir = tmp_path / "data"
    settings.STUDIO_DATA_DIR = data_dir
    settings.STUDIO_PIPELINE_COMMAND = (sys.executable, str(CANARY))
    home_file = Path.home() / f".studio-canary-{uuid.uuid4()}"
    shared_memory = SHARED_MEMORY / f"studio-canary-{uuid.uuid4()}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; tells which address this machine has
        host = probe.getsockname()[0]
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::", 0))
        port = probe.getsockname()[1]
    victim = subprocess.Popen(["sleep", "600"])
    made = World(data_dir, home_file, shared_memory, host, port, victim.pid)
    for path in (*made.secrets, *made.inputs, shared_memory):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("secret")
        path.chmod(0o600)
    segment = ctypes.CDLL(None).shmget(SEGMENT_KEY, 64, 0o1600)
    sockets = _listen(made)
    yield made
    for listener in sockets:
        listener.close()
    ctypes.CDLL(None).shmctl(segment, 0, None)
    victim.kill()
    victim.wait()
    home_file.unlink(missing_ok=True)
    shared_memory.unlink(missing_ok=True)


def _listen(world: World) -> list[socket.socket]:
    """Whatever arrives is in `world.heard`."""
    (world.data_dir / "broker").mkdir()
    addresses = [
        (socket.AF_INET6, socket.SOCK_STREAM, ("::", world.port)),  # IPv4 too
        (socket.AF_INET, socket.SOCK_DGRAM, ("0.0.0.0", world.port)),  # noqa: S104
        (socket.AF_UNIX, socket.SOCK_STREAM, str(world.data_dir / "broker" / "s")),
        (socket.AF_UNIX, socket.SOCK_DGRAM, str(world.data_dir / "broker" / "d")),
        (socket.AF_UNIX, socket.SOCK_STREAM, f"\0canary-{world.port}"),
    ]
    made = []
    for family, kind, address in addresses:
        listener = socket.socket(family, kind)
        listener.bind(address)

        def hear(listener: socket.socket = listener, kind: int = kind, name: str = str(address)):
            try:
                while True:
                    if kind == socket.SOCK_DGRAM:
                        listener.recv(10)
                    else:
                        with listener.accept()[0] as client:
                            client.recv(10)
                    world.heard.append(name)
            except OSError:
                return  # closed

        if kind == socket.SOCK_STREAM:
            listener.listen()
        threading.Thread(target=hear, daemon=True).start()
        made.append(listener)
    return made


class Started:
    """A child, and what it wrote."""

    def __init__(
        self, world: World, way: Isolation, *, queue: str = "compute", **orders: Any
    ) -> None:
        earlier = uuid.uuid4()
        checkpoint = attempt_dir(earlier, 1) / "checkpoints" / "step-5"
        checkpoint.mkdir(parents=True)
        (checkpoint / "state.json").write_text("5")
        self.claim = Claim(
            run_id=uuid.uuid4(), attempt=2, kind="evaluate", queue=queue, spec_digest="",
            earlier_attempts=((earlier, 1),),
            spec={
                "model": {"path": str(world.inputs[0].parent)},
                "source": {"path": str(world.inputs[1])},
                "base": {"path": str(world.data_dir / "secret_key")},  # no folder of inputs
                "orders": orders | {"checkpoint": str(checkpoint)},
            },
        )  # fmt: skip
        run_dir(self.claim.run_id).mkdir()
        self.directory = attempt_dir(self.claim.run_id, 2)
        self.slot = DeviceSlot(name=f"{queue}-0", queue=queue, lock_dir=world.data_dir / "slots")
        self._lock = self.slot.acquired(timeout_seconds=5)
        lock = self._lock.__enter__()
        assert lock is not None
        self.child = Child(
            self.claim, slot=self.slot, lock=lock, resume_from=checkpoint, isolation=way
        )

    def status(self) -> int:
        try:
            wait(lambda: self.child.poll() is not None)
            status = self.child.poll()
            assert status is not None
            return status
        finally:
            self.end()

    def end(self) -> None:
        self.child.kill()
        self.slot.kill_leftovers()
        self._lock.__exit__(None, None, None)

    def log(self) -> str:
        return (self.directory / "stderr.log").read_text()


def wait(condition: Any, seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "too late"
        time.sleep(0.01)


def marked(slot: DeviceSlot) -> dict[int, set[str]]:
    """Living processes of a slot, with the files they hold open."""
    marker = f"STUDIO_CHILD_OF_SLOT={slot.lock_path}".encode()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (process / "environ").read_bytes().split(b"\0"):
                found[int(process.name)] = {
                    str(link.readlink()) for link in (process / "fd").iterdir()
                }
        except OSError:
            continue
    return found


@functools.cache
def levers() -> list[str]:
    """Files by which the machine could be set, for a worker that runs as root."""
    found = []
    for root in ("/proc", "/sys", "/dev"):
        for folder, folders, files in os.walk(root):
            if folder == "/proc":
                folders[:] = [name for name in folders if not name.isdecimal()]
            for path in (Path(folder, name) for name in files):
                mode = path.lstat().st_mode
                is_open_to_writers = stat.S_ISREG(mode) and mode & 0o222
                is_device = stat.S_ISBLK(mode) or stat.S_ISCHR(mode)
                if (is_open_to_writers or is_device) and "watchdog" not in path.name:
                    found.append(str(path))
    assert "/proc/sys/kernel/core_pattern" in found
    return found


@pytest.mark.parametrize("way", CONFINED)
def test_a_child_cannot_get_out(world: World, way: Isolation, settings: Any) -> None:
    folders = [
        world.data_dir, world.other_run.parent, ROOT, ROOT / "pipeline", Path.home(), "/",
        "/usr/lib", "/etc", "/var/tmp", SHARED_MEMORY, "/tmp", "/run",  # noqa: S108
    ]  # fmt: skip
    started = Started(
        world, way, secrets=list(map(str, world.secrets)), levers=levers(),
        others=["/etc/shadow", str(ROOT / "manage.py"), str(ROOT / "workers" / "child.py")],
        inputs=list(map(str, world.inputs)), folders=list(map(str, folders)),
        host=world.host, port=world.port, victim=world.victim, parent=os.getpid(),
        unix=str(world.data_dir / "broker" / "s"), segment=SEGMENT_KEY,
        unix_datagram=str(world.data_dir / "broker" / "d"), abstract=f"canary-{world.port}",
        shared_memory=str(world.shared_memory),
    )  # fmt: skip
    assert started.status() == 0, started.log()
    found = json.loads((started.directory / "found.json").read_text())

    # What seems to work inside a namespace must not be seen outside: looked at below.
    inside = ("write ", "truncate ", "remove /", "make a file in ", "udp, ", "symbolic")
    done = {
        name: outcome
        for name, outcome in found["forbidden"].items()
        if not outcome.startswith(("PermissionError", "FileNotFoundError", "OSError",
                                   "ProcessLookupError", "ConnectionRefusedError"))
    }  # fmt: skip
    assert {name for name in done if not name.startswith(inside)} == set()
    for path in (*world.secrets, *world.inputs, world.shared_memory):
        assert path.read_text() == "secret"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made = [path for path in (Path(f, "canary-was-here") for f in folders) if path.exists()]
    for path in made:
        path.unlink()
    assert made == []
    assert world.heard == []
    assert os.getpriority(os.PRIO_PROCESS, world.victim) == 0
    assert Path(f"/proc/{world.victim}/stat").read_text().split()[2] == "S"
    assert str(world.victim) not in found["listed"]
    assert "other" not in found["runs"]
    assert {path for path in found["levers"] if path not in HARMLESS_DEVICES} == set()
    files = {path for path in found["files"] if not path.startswith("/proc/")}
    assert files == {str(started.slot.lock_path)}
    # Nothing points out of what the platform reads afterwards.
    assert [path for path in started.directory.rglob("*") if path.is_symlink()] == []

    missing = {name: outcome for name, outcome in found["needed"].items() if outcome != "done"
               and not outcome.startswith("read ")}  # fmt: skip
    assert set(missing) == (NO_NETWORK if way is Isolation.LANDLOCK_NO_NETWORK else set()), missing
    assert found["memory"] == [settings.STUDIO_COMPUTE_MEMORY_BYTES] * 2
    assert not (started.directory / ".tmp").exists()


def test_without_confinement_the_canary_gets_out(world: World, settings: Any) -> None:
    """The test above can fail."""
    started = Started(
        world, Isolation.OFF, secrets=[], others=[], inputs=[], levers=[],
        folders=[str(world.data_dir)],
        host=world.host, port=world.port, victim=world.victim, parent=os.getpid(),
        unix=str(world.data_dir / "broker" / "s"), segment=SEGMENT_KEY,
        unix_datagram=str(world.data_dir / "broker" / "d"), abstract=f"canary-{world.port}",
        shared_memory=str(world.shared_memory),
    )  # fmt: skip
    assert started.status() == 0, started.log()
    found = json.loads((started.directory / "found.json").read_text())["forbidden"]
    expected = {"tcp, this machine", "tcp, its loopback", "unix", "unix, abstract", "signal 15",
                "segment of others", f"make a file in {world.data_dir}"}  # fmt: skip
    assert {name for name in expected if found[name] != "done"} == set()
    wait(lambda: len(world.heard) >= 4)


@pytest.mark.parametrize(
    ("way", "orders", "expected"),
    [
        (Isolation.BUBBLEWRAP, {"status": 0}, 0),
        (Isolation.BUBBLEWRAP, {"status": 3}, 3),
        (Isolation.BUBBLEWRAP, {"signal": signal.SIGSEGV}, -signal.SIGSEGV),
        (Isolation.BUBBLEWRAP, {"signal": signal.SIGKILL}, -signal.SIGKILL),
        (Isolation.BUBBLEWRAP, {"signal": signal.SIGTERM}, -signal.SIGTERM),
        (Isolation.LANDLOCK, {"status": 3}, 3),
        (Isolation.LANDLOCK, {"signal": signal.SIGSEGV}, -signal.SIGSEGV),
    ],
)
def test_an_end_is_what_it_was(
    world: World, way: Isolation, orders: dict[str, int], expected: int
) -> None:
    assert Started(world, way, **orders).status() == expected


@pytest.mark.parametrize("way", HOW_THEY_START)
def test_signals_lock_and_group_work_through_it(world: World, way: Isolation) -> None:
    started = Started(world, way, wait=True)
    wait((started.directory / "waiting").exists)
    processes = marked(started.slot)
    assert any(str(started.slot.lock_path) in files for files in processes.values())
    assert os.getpriority(os.PRIO_PROCESS, started.child.pid) == 10
    assert os.getpgid(started.child.pid) == started.child.pid
    started.child.request_stop(grace_seconds=PATIENCE_SECONDS)
    assert started.status() == 75
    wait(lambda: not marked(started.slot))


@pytest.mark.parametrize("way", HOW_THEY_START)
@pytest.mark.parametrize("delay_seconds", [0.0, 0.04, 0.1])
def test_a_stop_during_the_start_is_not_lost(
    world: World, way: Isolation, delay_seconds: float
) -> None:
    started = Started(world, way, wait=True)
    time.sleep(delay_seconds)
    started.child.request_stop(grace_seconds=600)
    assert started.status() in (75, -signal.SIGTERM, -signal.SIGKILL)


@pytest.mark.parametrize("way", HOW_THEY_START)
def test_a_kill_leaves_nothing(world: World, way: Isolation) -> None:
    started = Started(world, way, wait=True)
    wait((started.directory / "waiting").exists)
    started.end()
    assert started.child.poll() == -signal.SIGKILL
    wait(lambda: not marked(started.slot))


SUPERVISOR = """
import json, sys, time
import django; django.setup()
from pathlib import Path
from uuid import UUID
from studio.runs.states import Isolation
from workers.child import Child, Claim
from workers.devices import DeviceSlot
slot = DeviceSlot(name="compute-0", queue="compute", lock_dir=Path(sys.argv[2]))
claim = Claim(run_id=UUID(int=1), attempt=1, kind="evaluate", queue="compute", spec_digest="",
              earlier_attempts=(), spec={"orders": {"wait": True}})
with slot.acquired(timeout_seconds=5) as lock:
    child = Child(claim, slot=slot, lock=lock, resume_from=None, isolation=Isolation(sys.argv[1]))
    time.sleep(600)
"""


@pytest.mark.parametrize("way", HOW_THEY_START)
def test_a_child_dies_with_its_supervisor_and_frees_the_slot(world: World, way: Isolation) -> None:
    slots = world.data_dir / "slots"
    slot = DeviceSlot(name="compute-0", queue="compute", lock_dir=slots)
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(way), str(slots)], cwd=ROOT,
        env=os.environ | {
            "STUDIO_DATA_DIR": str(world.data_dir), "DJANGO_SETTINGS_MODULE": "studio.settings",
            "STUDIO_PIPELINE_COMMAND": f"{sys.executable} {CANARY}",
            "PYTHONPATH": os.pathsep.join((str(ROOT / "platform"), str(ROOT))),
        },
    )  # fmt: skip
    wait((attempt_dir(uuid.UUID(int=1), 1) / "waiting").exists)
    with slot.acquired(timeout_seconds=0) as lock:
        assert lock is None
    supervisor.kill()
    supervisor.wait()
    with slot.acquired(timeout_seconds=5) as lock:
        assert lock is not None
        slot.kill_leftovers()
    wait(lambda: not marked(slot))


WITHOUT_LANDLOCK = """
import errno, os, sys
from workers.isolation import seccomp
seccomp._EVERYWHERE["landlock_create_ruleset"] = 444
seccomp.install_filter([seccomp.Rule(call="landlock_create_ruleset", error=errno.ENOSYS)])
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
IN_FORCE = (
    "import django; django.setup();"
    "from workers.isolation.ways import isolation_in_force; print(isolation_in_force())"
)


@pytest.mark.parametrize(
    ("variables", "command", "expected"),
    [
        ({"REDIS_URL": "redis://127.0.0.1:1"}, ("-m", "workers", "worker", "compute-0"), None),
        ({"STUDIO_ISOLATION": "landlock"}, ("-m", "workers", "worker", "compute-0"), None),
        ({"REDIS_URL": "redis://127.0.0.1:1", "STUDIO_ISOLATION": "off"}, ("-c", IN_FORCE), "off"),
        ({}, ("-c", IN_FORCE), "off"),
    ],
)
def test_a_worker_that_can_confine_nothing(
    tmp_path: Path, variables: dict[str, str], command: tuple[str, ...], expected: str | None
) -> None:
    """Without bubblewrap and on a kernel without Landlock."""
    environment = {
        "STUDIO_DATA_DIR": str(tmp_path / "data"), "DJANGO_SETTINGS_MODULE": "studio.settings",
        "PYTHONPATH": os.pathsep.join((str(ROOT / "platform"), str(ROOT))),
        "PATH": str(Path(sys.executable).parent), "HOME": str(Path.home()),
    }  # fmt: skip
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_LANDLOCK, *command], cwd=ROOT, env=environment | variables,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if expected is None:
        assert result.returncode == 9, result.stderr
        assert "error[worker.isolation_unavailable]" in result.stderr
        assert "version 0 of Landlock" in result.stderr
    else:
        assert (result.returncode, result.stdout.strip()) == (0, expected), result.stderr

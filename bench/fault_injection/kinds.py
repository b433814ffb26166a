"""The faults: each is made while a run works, and says what it met."""

import contextlib
import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from bench.fault_injection.subject import Subject

BOTH = ("sqlite", "postgres")


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """What a fault met; the fault lasts until the context in which it is given is left."""

    met: str
    """The living thing; empty when there was none, and the fault is not counted."""
    holds_seconds: float = 0.0
    """How long it lasts."""
    holds_until_lost: bool = False
    """It lasts until the attempt is lost."""
    replaced: tuple[str, int] | None = None
    """Service and process id: `up` must start another."""
    others: Sequence[UUID] = field(default=())
    """Runs that waited meanwhile."""


Strike = Callable[[Subject, UUID, random.Random], AbstractContextManager[Hit]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One kind of fault."""

    name: str
    strike: Strike
    databases: tuple[str, ...] = BOTH
    needs_clock: bool = False
    is_long: bool = False
    """It waits for a lease to run out."""
    first_step: int = 1
    """The run has come so far before it strikes."""


def _kill(pid: int, what: str) -> str:
    """What was killed; empty if it was dead before."""
    with contextlib.suppress(ProcessLookupError):
        if pid > 0:
            os.kill(pid, signal.SIGKILL)
            return f"{what} {pid}"
    return ""


@contextmanager
def child_killed(subject: Subject, run_id: UUID, _random: random.Random) -> Iterator[Hit]:
    yield Hit(met=_kill(subject.child(run_id), "child"))


@contextmanager
def supervisor_killed(subject: Subject, run_id: UUID, _random: random.Random) -> Iterator[Hit]:
    yield Hit(met=_kill(subject.supervisor(run_id), "supervisor"))


def service_killed(name: str) -> Strike:
    @contextmanager
    def strike(subject: Subject, _run_id: UUID, _random: random.Random) -> Iterator[Hit]:
        pid = subject.service(name)
        yield Hit(met=_kill(pid, name), replaced=(name, pid))

    return strike


@contextmanager
def broker_flushed(subject: Subject, _run_id: UUID, _random: random.Random) -> Iterator[Hit]:
    waiting = _waiting_run(subject)
    subject.platform.flush_broker()
    yield Hit(met=f"the message of run {waiting}", others=(waiting,))


@contextmanager
def broker_wiped(subject: Subject, _run_id: UUID, _random: random.Random) -> Iterator[Hit]:
    waiting = _waiting_run(subject)
    pid = subject.service("broker")
    met = _kill(pid, "broker")
    for path in (subject.platform.data_dir / "broker").rglob("*"):
        if path.is_file() and path.suffix != ".lock":
            path.unlink(missing_ok=True)
    yield Hit(met=met, replaced=("broker", pid), others=(waiting,))


def _waiting_run(subject: Subject) -> UUID:
    """A run whose message lies in the broker, behind the run that works."""
    waiting = subject.start_run(num_steps=3)
    unsent = "SELECT 1 FROM runs_outbox WHERE sent_at IS NULL"
    subject.wait(lambda: not subject.platform.rows(unsent), seconds=30)
    return waiting


@contextmanager
def message_duplicated(subject: Subject, run_id: UUID, chance: random.Random) -> Iterator[Hit]:
    for _ in range(chance.randint(1, 5)):
        subject.platform.send_wake_up(run_id)
    yield Hit(met="a run that was claimed before")


@contextmanager
def supervisor_paused(subject: Subject, run_id: UUID, _random: random.Random) -> Iterator[Hit]:
    supervisor = subject.supervisor(run_id)
    with subject.paused(supervisor):
        yield Hit(met=f"supervisor {supervisor}", holds_until_lost=True)


@contextmanager
def attempt_paused(subject: Subject, run_id: UUID, _random: random.Random) -> Iterator[Hit]:
    """The supervisor first, which would otherwise see its child stand still."""
    supervisor = subject.supervisor(run_id)
    with subject.paused(supervisor):
        pids = subject.processes_of_slot()
        with subject.paused(*pids):
            met = f"supervisor {supervisor} and its child's processes {pids}" if pids else ""
            yield Hit(met=met, holds_until_lost=True)


@contextmanager
def database_locked(subject: Subject, _run_id: UUID, chance: random.Random) -> Iterator[Hit]:
    with subject.locked_database():
        seconds = chance.uniform(0.2, 1.2) * subject.lease_seconds
        yield Hit(met="a platform that reads and writes", holds_seconds=seconds)


@contextmanager
def database_silent(subject: Subject, _run_id: UUID, chance: random.Random) -> Iterator[Hit]:
    if subject.hole is None:
        raise RuntimeError("only a database behind a network can fall silent")
    way = chance.choice((subject.hole.drop, subject.hole.stall))
    way()
    try:
        seconds = chance.uniform(0.2, 1.5) * subject.lease_seconds
        yield Hit(met=f"connections ({way.__name__})", holds_seconds=seconds)
    finally:
        subject.hole.restore()


@contextmanager
def connections_cut(subject: Subject, _run_id: UUID, _random: random.Random) -> Iterator[Hit]:
    num_cut = subject.cut_connections()
    yield Hit(met=f"{num_cut} connections" if num_cut else "")


def checkpoint_damaged(damage: Callable[[Path, random.Random], None]) -> Strike:
    @contextmanager
    def strike(subject: Subject, run_id: UUID, chance: random.Random) -> Iterator[Hit]:
        """The supervisor stands still while its child dies and the newest checkpoint is damaged."""
        child = subject.child(run_id)
        number = subject.attempt(run_id)
        with subject.paused(subject.supervisor(run_id)):
            met = _kill(child, "child")
            checkpoints = subject.attempt_dir(run_id, number).glob("checkpoints/step-*")
            newest = max(checkpoints, key=lambda path: int(path.name.removeprefix("step-")))
            damage(chance.choice(sorted(newest.iterdir())), chance)
        yield Hit(met=met)

    return strike


def truncate(path: Path, chance: random.Random) -> None:
    """The file ends early."""
    os.truncate(path, chance.randrange(path.stat().st_size))


def flip_bit(path: Path, chance: random.Random) -> None:
    """One bit of the file is another."""
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


@contextmanager
def disk_full(subject: Subject, run_id: UUID, chance: random.Random) -> Iterator[Hit]:
    """The n-th block that is written finds no room, until the attempt has failed of it."""
    subject.disk.leave(chance.randrange(12))
    try:
        yield Hit(met="a child that writes", holds_until_lost=True)
    finally:
        subject.disk.leave_all()


@contextmanager
def clock_stepped(subject: Subject, _run_id: UUID, chance: random.Random) -> Iterator[Hit]:
    """With messages lost at the same time, whose age the dispatcher must still be able to tell."""
    waiting = _waiting_run(subject)
    seconds = chance.choice((-86_400, -3600, -120, 120, 3600, 86_400))
    subject.step_clock(seconds)
    subject.platform.flush_broker()
    yield Hit(met=f"every process of the platform ({seconds:+d} s)", others=(waiting,))


KINDS = (
    Kind(name="child killed", strike=child_killed),
    Kind(name="supervisor killed", strike=supervisor_killed),
    Kind(name="worker killed", strike=service_killed("worker")),
    Kind(name="dispatcher killed", strike=service_killed("dispatcher")),
    Kind(name="web server killed", strike=service_killed("web")),
    Kind(name="broker killed", strike=service_killed("broker")),
    Kind(name="broker flushed", strike=broker_flushed),
    Kind(name="broker wiped", strike=broker_wiped),
    Kind(name="message duplicated", strike=message_duplicated),
    Kind(name="supervisor paused", strike=supervisor_paused, is_long=True),
    Kind(name="attempt paused", strike=attempt_paused, is_long=True),
    Kind(name="database locked", strike=database_locked, is_long=True),
    Kind(name="database silent", strike=database_silent, databases=("postgres",), is_long=True),
    Kind(name="connections cut", strike=connections_cut, databases=("postgres",)),
    Kind(name="checkpoint truncated", strike=checkpoint_damaged(truncate), first_step=11),
    Kind(name="checkpoint bit flipped", strike=checkpoint_damaged(flip_bit), first_step=11),
    Kind(name="disk full", strike=disk_full),
    Kind(name="clock stepped", strike=clock_stepped, needs_clock=True),
)

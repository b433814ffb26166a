"""Many faults, on several platforms beside each other, until enough of them met something."""

import contextlib
import json
import queue
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.fault_injection.injection import Record, inject
from bench.fault_injection.kinds import KINDS, Kind
from bench.fault_injection.subject import Subject
from tests.supervision.postgres_server import postgres_server


@dataclass(frozen=True, kw_only=True, slots=True)
class Campaign:
    """Faults of one database and lease."""

    database: str
    seed: int
    lease_seconds: float
    num_platforms: int
    kinds: Sequence[Kind] = KINDS

    def deck(self, first: int, count: int) -> list[tuple[int, Kind]]:
        """Faults `first` to `first + count`: every kind once, in random order, and again."""
        possible = [kind for kind in self.kinds if self.database in kind.databases]
        dealt = []
        for number in range(first, first + count):
            order = random.Random(f"{self.seed}/{self.database}/{number // len(possible)}")
            shuffled = order.sample(possible, len(possible))
            dealt.append((number, shuffled[number % len(possible)]))
        return dealt

    def run(self, *, first: int, count: int, until: float) -> Iterator[Record]:
        """What each fault did, as they end; none begins after `until` (`time.monotonic`)."""
        records: queue.Queue[Record | BaseException | None] = queue.Queue()
        todo = _Hand(self.deck(first, count))
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-"))
            port = stack.enter_context(postgres_server()) if self.database == "postgres" else 0
            workers = [
                threading.Thread(
                    target=self._work, args=(Path(folder) / str(number), port, has_clock),
                    kwargs={"todo": todo, "records": records, "until": until},
                )
                for number, has_clock in enumerate(self._clocks())
            ]  # fmt: skip
            for worker in workers:
                worker.start()
                stack.callback(worker.join)
            stack.callback(todo.drop)
            running = len(workers)
            while running:
                record = records.get()
                if record is None:
                    running -= 1
                elif isinstance(record, Record):
                    yield record
                else:
                    raise record

    def _clocks(self) -> list[bool]:
        """By platform, whether its clock can be moved: the first one's, where a kind needs it."""
        needs_clock = any(kind.needs_clock for kind in self.kinds)
        return [needs_clock and number == 0 for number in range(self.num_platforms)]

    def _work(
        self, folder: Path, port: int, has_clock: bool, *, todo: "_Hand",
        records: "queue.Queue[Record | BaseException | None]", until: float,
    ) -> None:  # fmt: skip
        subject: Subject | None = None
        num_subjects = 0
        try:
            while time.monotonic() < until:
                dealt = todo.take(has_clock=has_clock)
                if dealt is None:
                    break
                if subject is None:
                    num_subjects += 1
                    subject = Subject(
                        folder / str(num_subjects), database=self.database, server_port=port,
                        lease_seconds=self.lease_seconds, has_clock=has_clock,
                    )  # fmt: skip
                number, kind = dealt
                record = inject(subject, kind, seed=self.seed, number=number)
                records.put(record)
                if record.stuck:  # whatever holds the run would hold the next one too
                    _keep_logs(subject, record)
                    subject.close()
                    subject = None
        except BaseException as exc:  # noqa: BLE001 (told in the thread that waits for records)
            records.put(exc)
        finally:
            if subject is not None:
                subject.close()
            records.put(None)


class _Hand:
    """Faults still to be made; those of the clock only where the clock can be moved."""

    def __init__(self, deck: list[tuple[int, Kind]]) -> None:
        self._lock = threading.Lock()
        self._deck = deck

    def take(self, *, has_clock: bool) -> tuple[int, Kind] | None:
        with self._lock:
            for dealt in self._deck:
                if has_clock or not dealt[1].needs_clock:
                    self._deck.remove(dealt)
                    return dealt
            return None

    def drop(self) -> None:
        """Nobody takes any more."""
        with self._lock:
            self._deck.clear()


def _keep_logs(subject: Subject, record: Record) -> None:
    print(f"fault {record.number} ({record.kind}): {record.stuck}", file=sys.stderr)
    for log in sorted((subject.platform.data_dir / "log").glob("*.log")):
        print(f"--- {log.name}\n{log.read_text()[-2000:]}", file=sys.stderr)


def read_records(path: Path) -> list[Record]:
    """What earlier calls found."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Record(**json.loads(line)) for line in lines]


def append_record(path: Path, record: Record) -> None:
    """The record is in the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")

"""One fault from its beginning to the verdict."""

import datetime
import random
import time
from dataclasses import asdict, dataclass
from functools import partial
from uuid import UUID

from bench.fault_injection.kinds import Hit, Kind
from bench.fault_injection.subject import STEPS, Subject
from bench.fault_injection.verdict import problems

PATIENCE_SECONDS = 60.0
"""On top of what a lease allows: machines that measure are busy."""
LAST_STEP = 20
"""Half of the run is left: that a step was reached is known up to a second later."""
ENDED = ("succeeded", "failed", "cancelled")
CANCEL_SHARE = 0.2


@dataclass(kw_only=True, slots=True)
class Record:
    """What one fault did; a line of the records file."""

    seed: int
    number: int
    database: str
    lease_seconds: float
    kind: str
    met: str = ""
    detection_seconds: float | None = None
    """Until the database knew of the lost attempt; for a service, until another one was there."""
    restart_seconds: float | None = None
    """Until the next attempt was claimed."""
    cancel_seconds: float | None = None
    """From a person's request, some time after the fault, to the end."""
    num_attempts: int = 0
    lost: str = ""
    twice: str = ""
    stuck: str = ""
    published: str = ""

    @property
    def is_counted(self) -> bool:
        """It met something alive."""
        return self.met != ""

    @property
    def problem(self) -> str:
        """Everything that is wrong."""
        return "; ".join(
            f"{name}: {text}"
            for name, text in asdict(self).items()
            if name in {"lost", "twice", "stuck", "published"} and text
        )


def inject(subject: Subject, kind: Kind, *, seed: int, number: int) -> Record:
    """The fault was made on a run of its own, and what was left of it was judged."""
    chance = random.Random(f"{seed}/{number}/{kind.name}")
    record = Record(
        seed=seed, number=number, database=subject.database, kind=kind.name,
        lease_seconds=subject.lease_seconds,
    )  # fmt: skip
    patience = 2 * subject.lease_seconds + PATIENCE_SECONDS
    run_id = subject.start_run()
    step = chance.randint(kind.first_step, LAST_STEP)
    if not subject.wait(lambda: _has_reached(subject, run_id, step), patience):
        record.stuck = f"the run did not reach step {step} before any fault"
        return record
    number_before = subject.attempt(run_id)
    was_alive = subject.state(run_id) == "running"
    struck_at = subject.now()
    try:
        hit = _strike(subject, kind, run_id, chance, record, patience)
    except (OSError, ValueError):  # what it was to meet had ended a moment before
        hit = Hit(met="")
    record.met = hit.met if was_alive else ""
    _watch_service(subject, hit, record, struck_at, patience)
    runs = [run_id, *_cancel(subject, run_id, record, chance, patience)]
    for other in (*runs, *hit.others):
        if not subject.wait(partial(_has_ended, subject, other), patience):
            row = subject.platform.run(other)
            record.stuck += f"run {other} is {row['state']} after {patience:g} s; "
    if record.stuck:
        return record
    _judge(subject, record, runs, hit)
    if not kind.needs_clock and hit.replaced is None:
        _measure(subject, record, run_id, number_before, struck_at)
    return record


def _strike(
    subject: Subject, kind: Kind, run_id: UUID, chance: random.Random, record: Record,
    patience: float,
) -> Hit:  # fmt: skip
    number = subject.attempt(run_id)
    with kind.strike(subject, run_id, chance) as hit:
        if hit.holds_until_lost:
            held = subject.wait(
                lambda: subject.is_attempt_over(run_id, number) or subject.state(run_id) in ENDED,
                patience,
            )
            record.stuck += "" if held else "the lost attempt was not noticed; "
        time.sleep(hit.holds_seconds)
    return hit


def _has_ended(subject: Subject, run_id: UUID) -> bool:
    return subject.state(run_id) in ENDED


def _has_reached(subject: Subject, run_id: UUID, step: int) -> bool:
    row = subject.platform.run(run_id)
    return bool(row["state"] in ENDED or (row["progress_done"] or 0) >= step)


def _watch_service(
    subject: Subject, hit: Hit, record: Record, struck_at: float, patience: float
) -> None:
    if hit.replaced is None:
        return
    name, pid = hit.replaced
    if subject.wait(lambda: subject.service(name) not in {0, pid}, patience):
        record.detection_seconds = subject.now() - struck_at
    else:
        record.stuck += f"{name} was not started again; "


def _cancel(
    subject: Subject, run_id: UUID, record: Record, chance: random.Random, patience: float
) -> list[UUID]:
    """Some runs are cancelled after their fault, and continued; the runs that continue them."""
    if chance.random() >= CANCEL_SHARE:
        return []
    running = ("running", "succeeded", "failed")
    subject.wait(lambda: subject.state(run_id) in running, patience)
    asked_at = time.time()
    subject.platform.act("run_cancel", run_id)
    if not subject.wait(lambda: subject.state(run_id) in ENDED, patience):
        record.stuck += "the cancelled run did not end; "
        return []
    if subject.state(run_id) != "cancelled":
        return []
    record.cancel_seconds = time.time() - asked_at
    return [subject.platform.act("run_resume", run_id)]


def _judge(subject: Subject, record: Record, runs: list[UUID], hit: Hit) -> None:
    judged = [(run_id, STEPS) for run_id in runs] + [(run_id, 3) for run_id in hit.others]
    for run_id, num_steps in judged:
        found = problems(subject, run_id, num_steps=num_steps)
        record.lost += "; ".join(found["lost"])
        record.twice += "; ".join(found["twice"])
        record.published += "; ".join(found["published"])
        record.num_attempts += subject.attempt(run_id)


def _measure(
    subject: Subject, record: Record, run_id: UUID, number_before: int, struck_at: float
) -> None:
    """By the times that the database noted, which no polling of ours rounds."""
    rows = {row["number"]: row for row in subject.platform.attempts(run_id)}
    hurt, following = rows.get(number_before), rows.get(number_before + 1)
    if following is None or hurt is None or hurt["state"] not in {"lost", "stopped", "failed"}:
        return
    record.detection_seconds = max(0.0, _time(str(hurt["ended_at"])) - struck_at)
    record.restart_seconds = max(0.0, _time(str(following["started_at"])) - struck_at)


def _time(text: str) -> float:
    stamp = datetime.datetime.fromisoformat(text)
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=datetime.UTC)).timestamp()

"""What became of a run that was hurt, read from the database and from the files it left."""

import datetime
import json
from itertools import pairwise
from uuid import UUID

from bench.fault_injection.subject import Subject


def problems(subject: Subject, run_id: UUID, *, num_steps: int) -> dict[str, list[str]]:
    """What is wrong with an ended run, by `lost`, `twice`, `published`; empty lists when nothing.

    lost: it did not succeed, steps or events are missing.
    twice: two attempts worked at the same time, steps were repeated.
    published: a checkpoint that is not the finishing attempt's, or none, or two.
    """
    found: dict[str, list[str]] = {"lost": [], "twice": [], "published": []}
    run = subject.platform.run(run_id)
    attempts = subject.platform.attempts(run_id)
    if run["state"] == "cancelled":
        if _published(subject, run_id):
            found["published"].append("a cancelled run has a checkpoint")
        return found
    if run["state"] != "succeeded":
        message = str(run["error_message"])[:300]
        found["lost"].append(f"ended as {run['state']} {run['error_code']}: {message}")
        return found
    if subject.platform.state(run_id) != subject.platform.expected_state(num_steps):
        found["lost"].append("its state is not that of an undisturbed run")
    number = int(run["attempt"])
    succeeded = [row["number"] for row in attempts if row["state"] == "succeeded"]
    if succeeded != [number]:
        found["twice"].append(f"attempts {succeeded} succeeded, the run has {number}")
    found["twice"] += _overlaps(subject, run_id, number)
    found["lost"] += _missing_events(subject, run_id, number)
    expected = subject.attempt_dir(run_id, number) / "model"
    published = _published(subject, run_id)
    path = expected.relative_to(subject.platform.data_dir).as_posix()
    if published != [(number, path)]:
        found["published"].append(f"published {published}, finished by attempt {number}")
    elif (expected / "state.txt").read_text() != subject.platform.state(run_id):
        found["published"].append("the published file is not the reported one")
    return found


def num_fresh_starts(subject: Subject, run_id: UUID) -> int:
    """Attempts after the first that began at nothing although there was a checkpoint."""
    rows = subject.platform.attempts(run_id)[1:]
    return sum(not row["resumed_from"] for row in rows)


def _published(subject: Subject, run_id: UUID) -> list[tuple[int, str]]:
    sql = "SELECT attempt, path FROM registry_checkpoint WHERE run_id = ?"
    rows = subject.platform.rows(sql, run_id.hex)
    return [(int(row["attempt"]), str(row["path"])) for row in rows]


def _events(subject: Subject, run_id: UUID, number: int) -> list[dict[str, object]]:
    path = subject.attempt_dir(run_id, number) / "events.jsonl"
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    found: list[dict[str, object]] = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:  # torn by a kill or a full disk
            continue
    return found


def _overlaps(subject: Subject, run_id: UUID, newest: int) -> list[str]:
    """Attempts of which one began before the one before had written its last event."""
    spans = []
    for number in range(1, newest + 1):
        times = [_time(event["at"]) for event in _events(subject, run_id, number)]
        if times:
            spans.append((number, min(times), max(times)))
    return [
        f"attempt {after[0]} worked {before[2] - after[1]:.2f} s beside attempt {before[0]}"
        for before, after in pairwise(spans)
        if after[1] < before[2]
    ]


def _missing_events(subject: Subject, run_id: UUID, number: int) -> list[str]:
    written = {event["seq"] for event in _events(subject, run_id, number)}
    sql = "SELECT seq FROM runs_runevent WHERE run_id = ? AND attempt = ?"
    stored = {row["seq"] for row in subject.platform.rows(sql, run_id.hex, number)}
    missing = written - stored
    return [f"{len(missing)} events of the finishing attempt are not stored"] if missing else []


def _time(text: object) -> float:
    return datetime.datetime.fromisoformat(str(text)).timestamp()

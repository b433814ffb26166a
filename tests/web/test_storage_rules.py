"""What may be removed, for random trees of runs: nothing that is needed is ever chosen."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from uuid import UUID

import pytest

from studio.runs.states import RunState
from studio.storage.rules import (
    AttemptFiles,
    Entry,
    Kind,
    Limits,
    Listing,
    RunFiles,
    UploadFile,
    kept_for_resuming,
    removable,
)

NOW = datetime(2026, 11, 28, tzinfo=UTC)
LIMITS = Limits(runs=NOW - timedelta(days=30), uploads=NOW - timedelta(days=7))
TERMINAL = (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)
UNFINISHED = (RunState.WAITING, RunState.QUEUED, RunState.RUNNING, RunState.CANCELLING)


def moment(rng: random.Random) -> datetime:
    return NOW - timedelta(days=rng.choice([0.01, 1, 29, 31, 400]))


def random_entries(rng: random.Random, directory: str, digests: list[str]) -> Iterator[Entry]:
    digest = rng.choice(digests)  # an attempt has one spec
    for step in rng.sample(range(1, 20), rng.randrange(5)):
        yield Entry(
            path=f"{directory}/checkpoints/step-{step}", kind=Kind.CHECKPOINT,
            modified_at=moment(rng), step=step, spec_digest=digest,
            is_whole=rng.random() < 0.8,
        )  # fmt: skip
    for name, kind in (
        ("samples.parquet", Kind.OUTPUT),
        ("model", Kind.OUTPUT),
        (".report.json.partial", Kind.LEFTOVER),
        ("checkpoints/.step-7.partial", Kind.LEFTOVER),
        ("checkpoints/.trash-ab", Kind.TRASH),
    ):
        if rng.random() < 0.4:
            yield Entry(path=f"{directory}/{name}", kind=kind, modified_at=moment(rng))


def random_listing(seed: int) -> Listing:
    """Chains of runs that continue each other, in every state, with whatever attempts leave."""
    rng = random.Random(seed)
    runs: list[RunFiles] = []
    for _chain in range(rng.randrange(1, 4)):
        earlier: UUID | None = None
        digests = ["a" * 64] if rng.random() < 0.8 else ["a" * 64, "b" * 64]
        length = rng.randrange(1, 4)
        for position in range(length):
            run_id = UUID(int=rng.getrandbits(128))
            # Only what failed or was cancelled is continued.
            states = TERMINAL + UNFINISHED if position == length - 1 else TERMINAL[1:]
            state = rng.choice(states)
            attempt = rng.randrange(0 if state in UNFINISHED[:2] else 1, 4)
            attempts = tuple(
                AttemptFiles(
                    number=number,
                    entries=tuple(random_entries(rng, f"runs/{run_id}/attempt-{number}", digests)),
                )
                for number in range(1, attempt + 1)
            )
            runs.append(
                RunFiles(
                    run_id=run_id, project_id=rng.randrange(1, 3), state=state, attempt=attempt,
                    finished_at=moment(rng) if state in TERMINAL else None, continues=earlier,
                    attempts=attempts,
                )
            )  # fmt: skip
            earlier = run_id
    paths = [e.path for run in runs for a in run.attempts for e in a.entries]
    named = rng.sample(paths, min(len(paths), rng.randrange(3)))
    uploads = tuple(
        UploadFile(
            path=f"uploads/{number}.csv", project_id=1, upload_id=None, modified_at=moment(rng),
            is_used=rng.random() < 0.5,
        )
        for number in range(rng.randrange(4))
    )  # fmt: skip
    rng.shuffle(runs)
    # A name may stand for something inside what could go, or for what it lies in.
    protected = {rng.choice([path, f"{path}/inside", str(PurePosixPath(path).parent)])
                 for path in named}  # fmt: skip
    return Listing(runs=tuple(runs), uploads=uploads, protected=frozenset(protected))


def supervisors_choice(listing: Listing, head: RunFiles, digest: str, gone: set[str]) -> str | None:
    """As `workers.supervisor` looks for it: attempts from the newest, in each the newest whole."""
    by_id = {run.run_id: run for run in listing.runs}
    run: RunFiles | None = head
    while run is not None:
        for attempt in sorted(run.attempts, key=lambda a: a.number, reverse=True):
            steps = [
                entry
                for entry in attempt.entries
                if entry.kind == Kind.CHECKPOINT and entry.is_whole and entry.path not in gone
            ]
            if steps:
                newest = max(steps, key=lambda entry: entry.step)
                if newest.spec_digest == digest:
                    return newest.path
        run = by_id[run.continues] if run.continues else None
    return None


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_nothing_that_is_needed_is_ever_chosen(block: int) -> None:
    num_chosen = 0
    for seed in range(block * 300, (block + 1) * 300):
        listing = random_listing(seed)
        chosen = {choice.path for choice in removable(listing, LIMITS)}
        num_chosen += len(chosen)
        continued = {run.continues for run in listing.runs}
        by_id = {run.run_id: run for run in listing.runs}
        for run in listing.runs:
            for attempt in run.attempts:
                for entry in attempt.entries:
                    if entry.path not in chosen or entry.kind == Kind.TRASH:
                        continue
                    is_newest = attempt.number == run.attempt
                    assert not (run.state in UNFINISHED and is_newest)
                    if entry.kind == Kind.LEFTOVER:
                        assert entry.modified_at < LIMITS.runs
                        continue
                    assert run.finished_at is not None
                    assert run.finished_at < LIMITS.runs
                    assert not (run.state == RunState.SUCCEEDED and is_newest)
                    if is_newest and run.run_id not in continued:
                        assert entry.kind == Kind.CHECKPOINT
            if run.run_id in continued:
                continue
            earlier = run
            while earlier.continues is not None:
                earlier = by_id[earlier.continues]
                if run.state in UNFINISHED:
                    kept = [e for a in earlier.attempts for e in a.entries]
                    assert not [
                        e for e in kept
                        if e.path in chosen and e.kind not in (Kind.TRASH, Kind.LEFTOVER)
                    ]  # fmt: skip
            if run.state != RunState.SUCCEEDED:
                for digest in ("a" * 64, "b" * 64):
                    before = supervisors_choice(listing, run, digest, set())
                    after = supervisors_choice(listing, run, digest, chosen)
                    assert before is None or after == before
        for path in listing.protected:
            for other in map(PurePosixPath, chosen):
                assert not other.is_relative_to(path)
                assert not PurePosixPath(path).is_relative_to(other)
        for upload in listing.uploads:
            if upload.path in chosen:
                assert not upload.is_used
                assert upload.modified_at < LIMITS.uploads
    assert num_chosen > 500


def run_files(state: RunState, *, attempts: int, continues: UUID | None = None) -> RunFiles:
    run_id = UUID(int=random.Random(f"{state} {attempts} {continues}").getrandbits(128))
    old = NOW - timedelta(days=100)
    return RunFiles(
        run_id=run_id, project_id=1, state=state, attempt=attempts,
        finished_at=old if state in TERMINAL else None, continues=continues,
        attempts=tuple(
            AttemptFiles(
                number=number,
                entries=tuple(
                    Entry(
                        path=f"{run_id}/{number}/{step}", kind=Kind.CHECKPOINT, modified_at=old,
                        step=step, spec_digest="a" * 64, is_whole=True,
                    )
                    for step in (10, 20)
                ),
            )
            for number in range(1, attempts + 1)
        ),
    )  # fmt: skip


def chosen(*runs: RunFiles) -> set[str]:
    """Attempt and step of what may go, by `<attempt>/<step>`."""
    found = removable(Listing(runs=runs), LIMITS)
    return {choice.path.partition("/")[2] for choice in found}


def test_of_a_success_only_the_attempt_that_finished_stays() -> None:
    assert chosen(run_files(RunState.SUCCEEDED, attempts=3)) == {"1/10", "1/20", "2/10", "2/20"}


def test_of_a_failure_the_newest_checkpoint_stays() -> None:
    failed = run_files(RunState.FAILED, attempts=2)
    assert chosen(failed) == {"1/10", "1/20", "2/10"}
    listing = Listing(runs=(failed,))
    newest = kept_for_resuming(listing)
    assert {path.partition("/")[2] for path in newest} == {"2/20"}
    # It turns out to be damaged: the one before it is what stays.
    listing = listing.distrusting(newest)
    assert {path.partition("/")[2] for path in kept_for_resuming(listing)} == {"2/10"}


@pytest.mark.parametrize("state", UNFINISHED)
def test_of_a_run_that_works_and_those_it_continues_everything_stays(state: RunState) -> None:
    failed = run_files(RunState.FAILED, attempts=2)
    assert chosen(failed, run_files(state, attempts=2, continues=failed.run_id)) == set()


def test_once_the_resumed_run_succeeded_those_before_it_are_not_needed() -> None:
    failed = run_files(RunState.FAILED, attempts=1)
    succeeded = run_files(RunState.SUCCEEDED, attempts=1, continues=failed.run_id)
    assert chosen(failed, succeeded) == {"1/10", "1/20"}
    assert all(str(failed.run_id) in choice.path
               for choice in removable(Listing(runs=(failed, succeeded)), LIMITS))  # fmt: skip

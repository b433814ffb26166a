"""What may be removed from the disk, as one function over a listing: no file is touched here.

May go, once old enough:

- of a run that succeeded, everything but the records in attempts before the one that finished;
- of runs that one resumed run continues, the same, once that one has succeeded;
- of a run that failed or was cancelled, checkpoints that a resumed run would not choose, and what
  else its earlier attempts hold;
- what was being written when an attempt died, in attempts that no run holds any more;
- uploads that became no version and that no run reads, and files of uploads without a record.

Whatever its age: what an interrupted removal left, and files of what a person deleted.

Never: records (spec, events, report, log); the attempt that finished; what a registered checkpoint,
a data set version or a run that has not ended names; anything of a run that may still be taken by a
worker; the newest whole checkpoint of a run that can be resumed.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from uuid import UUID

from studio.runs.states import TERMINAL_STATES, RunState


class Kind(StrEnum):
    """Why something may go."""

    CHECKPOINT = "checkpoint"
    OUTPUT = "output"
    LEFTOVER = "leftover"
    TRASH = "trash"
    UPLOAD = "upload"
    DELETED = "deleted"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One thing in the directory of an attempt; records are not listed."""

    path: str
    """Relative to the data directory, as all paths here."""
    kind: Kind
    modified_at: datetime
    step: int = -1
    """Of a checkpoint, as the next two."""
    spec_digest: str = ""
    is_whole: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptFiles:
    """What an attempt left."""

    number: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFiles:
    """A run, and what its attempts left."""

    run_id: UUID
    project_id: int
    state: RunState
    attempt: int
    finished_at: datetime | None
    continues: UUID | None
    attempts: tuple[AttemptFiles, ...]

    @property
    def is_terminal(self) -> bool:
        """It will never be taken by a worker again."""
        return self.state in TERMINAL_STATES


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadFile:
    """A file of the uploads folder."""

    path: str
    project_id: int | None
    upload_id: UUID | None
    """None: no record names the file."""
    modified_at: datetime
    is_used: bool
    """A version was made of it, or a run that has not ended reads it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What there is."""

    runs: tuple[RunFiles, ...]
    uploads: tuple[UploadFile, ...] = ()
    deleted: tuple[tuple[str, int], ...] = ()
    """(path, project) of what people deleted and what is still there."""
    protected: frozenset[str] = frozenset()
    """Paths that something names: neither they, nor what is in them or around them, may go."""

    def distrusting(self, paths: Iterable[str]) -> "Listing":
        """The same, where the checkpoints at `paths` turned out not to be whole."""
        broken = frozenset(paths)

        def judged(entry: Entry) -> Entry:
            return replace(entry, is_whole=False) if entry.path in broken else entry

        runs = tuple(
            replace(
                run,
                attempts=tuple(
                    replace(attempt, entries=tuple(map(judged, attempt.entries)))
                    for attempt in run.attempts
                ),
            )
            for run in self.runs
        )
        return replace(self, runs=runs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Something that may go."""

    path: str
    kind: Kind
    project_id: int | None
    run_id: UUID | None = None
    upload_id: UUID | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """From when on things are too young to go."""

    runs: datetime
    """Of the run's end, or of the last change of what a dead attempt left."""
    uploads: datetime


def removable(listing: Listing, limits: Limits) -> tuple[Choice, ...]:
    """Everything that may go, in the order of the listing."""
    found = [*_of_runs(listing, limits.runs), *_of_uploads(listing, limits.uploads)]
    found += [
        Choice(path=path, kind=Kind.DELETED, project_id=project_id)
        for path, project_id in listing.deleted
    ]
    around = {str(parent) for path in listing.protected for parent in PurePosixPath(path).parents}
    return tuple(
        choice
        for choice in found
        if choice.path not in around and not _is_within(choice.path, listing.protected)
    )


def kept_for_resuming(listing: Listing) -> frozenset[str]:
    """Paths of the checkpoints that resumed runs would choose."""
    return frozenset(path for chain in chains(listing.runs) for path in _chosen_by_resume(chain))


def chains(runs: Iterable[RunFiles]) -> Iterator[tuple[RunFiles, ...]]:
    """Each run that nothing continues, followed by those it continues, newest first."""
    by_id: Mapping[UUID, RunFiles] = {run.run_id: run for run in runs}
    continued = {run.continues for run in by_id.values()}
    for head in by_id.values():
        if head.run_id in continued:
            continue
        chain, earlier = [head], head.continues
        while earlier is not None and earlier in by_id:
            chain.append(by_id[earlier])
            earlier = chain[-1].continues
        yield tuple(chain)


def _of_runs(listing: Listing, limit: datetime) -> Iterator[Choice]:
    for chain in chains(listing.runs):
        head = chain[0]
        kept = _chosen_by_resume(chain)
        for run in chain:
            is_over = head.is_terminal and _is_older(run.finished_at, limit)
            for attempt in run.attempts:
                is_newest = attempt.number >= run.attempt
                for entry in attempt.entries:
                    if entry.kind == Kind.TRASH:
                        may_go = True
                    elif entry.kind == Kind.LEFTOVER:
                        is_dead = run.is_terminal or not is_newest
                        may_go = is_dead and entry.modified_at < limit
                    elif run.state == RunState.SUCCEEDED:
                        may_go = is_over and not is_newest
                    elif entry.kind == Kind.CHECKPOINT:
                        may_go = is_over and entry.path not in kept
                    else:
                        may_go = is_over and (not is_newest or run is not head)
                    if may_go:
                        yield Choice(
                            path=entry.path,
                            kind=entry.kind,
                            project_id=run.project_id,
                            run_id=run.run_id,
                        )


def _chosen_by_resume(chain: tuple[RunFiles, ...]) -> frozenset[str]:
    """What a supervisor would go on from: for each spec the newest whole checkpoint.

    Nothing once the chain has succeeded: a result is not resumed.
    """
    if chain[0].state == RunState.SUCCEEDED:
        return frozenset()
    chosen: dict[str, str] = {}
    for run in chain:
        for attempt in sorted(run.attempts, key=lambda found: -found.number):
            for entry in sorted(attempt.entries, key=lambda found: -found.step):
                if entry.kind == Kind.CHECKPOINT and entry.is_whole:
                    chosen.setdefault(entry.spec_digest, entry.path)
    return frozenset(chosen.values())


def _of_uploads(listing: Listing, limit: datetime) -> Iterator[Choice]:
    for upload in listing.uploads:
        if not upload.is_used and upload.modified_at < limit:
            yield Choice(
                path=upload.path,
                kind=Kind.UPLOAD,
                project_id=upload.project_id,
                upload_id=upload.upload_id,
            )


def _is_older(moment: datetime | None, limit: datetime) -> bool:
    return moment is not None and moment < limit


def _is_within(path: str, protected: frozenset[str]) -> bool:
    """Whether `path` is one of them, or lies in one."""
    pure = PurePosixPath(path)
    return any(str(parent) in protected for parent in (pure, *pure.parents))

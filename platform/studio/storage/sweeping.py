"""Removes what the rules let go; the command, the page and the dispatcher call it.

A directory first takes a name that nothing looks for, in a transaction that holds the rows of its
runs, and is emptied afterwards: a kill in between leaves trash, which the next sweep removes, and
never half a checkpoint under its own name. Whoever resumes a run locks the same row, so either the
run was resumed before, and is left alone, or what it finds afterwards is what stays.
"""

import logging
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from pipeline.contracts.manifest import verify_checkpoint
from pipeline.errors import TrainingError
from studio.accounts.audit import audit_record
from studio.accounts.models import Project, User
from studio.datasets.models import Upload
from studio.datasets.services import upload_discard
from studio.runs.disk_estimates import tree_bytes
from studio.runs.models import Run
from studio.storage.listing import TRASH_PREFIX, is_within_data, read_listing
from studio.storage.rules import (
    Choice,
    Kind,
    Limits,
    Listing,
    RunFiles,
    chains,
    kept_for_resuming,
    removable,
)

logger = logging.getLogger(__name__)

FRESH = timedelta(hours=1)
FRESH_UPLOAD = timedelta(days=1)
"""Somebody may be about to choose other settings for it."""
BALLAST_NAME = "ballast"
BALLAST_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """Something that may go, or went, and its size on disk in bytes."""

    choice: Choice
    num_bytes: int


@contextmanager
def ballast_dropped() -> Iterator[None]:
    """A few mebibytes that were held for this are free, and are held again afterwards.

    Removing takes space too: on a disk that is full to the last block no database can write down
    what went, and SQLite cannot even be opened.
    """
    path = Path(settings.STUDIO_DATA_DIR) / BALLAST_NAME
    path.unlink(missing_ok=True)
    try:
        yield
    finally:
        try:
            with path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
        except OSError as exc:
            logger.warning("no space is left to hold for the next removal: %s", exc)
            path.unlink(missing_ok=True)


def limits_by_age() -> Limits:
    """What the dispatcher removes: everything older than `STUDIO_RETENTION_DAYS`."""
    limit = timezone.now() - timedelta(days=settings.STUDIO_RETENTION_DAYS)
    return Limits(runs=limit, uploads=limit)


def limits_now() -> Limits:
    """What a person may remove: everything that nobody can be about to use."""
    now = timezone.now()
    return Limits(runs=now - FRESH, uploads=now - FRESH_UPLOAD)


def look(limits: Limits, *, project: Project | None = None) -> list[Found]:
    """What may go, without removing anything and without reading whole checkpoints."""
    return [_found(choice) for choice in removable(read_listing(project), limits)]


def sweep(limits: Limits, *, actor: User | None, project: Project | None = None) -> list[Found]:
    """What the rules let go is gone, and was recorded for each run; what went.

    Args:
        limits: what is old enough.
        actor: who asked; None for the dispatcher.
        project: only what belongs to it; None for everything.
    """
    removed: list[Found] = []
    with ballast_dropped():
        listing = read_listing(project)
        choices = _verified_choices(listing, limits)
        for run_id, group in groupby(choices, key=lambda choice: choice.run_id):
            found = [_found(choice) for choice in group]
            if run_id is None:
                removed += [one for one in found if _remove_alone(one, actor)]
            else:
                removed += _remove_of_run(run_id, found, listing, actor)
    return removed


def sweep_old() -> int:
    """What is older than the retention age is gone; how many bytes. Called by the dispatcher."""
    removed = sweep(limits_by_age(), actor=None)
    num_bytes = sum(found.num_bytes for found in removed)
    if removed:
        logger.info("removed %d old files and directories, %d bytes", len(removed), num_bytes)
    return num_bytes


def remove_tree(path: Path) -> None:
    """Nothing is at `path`; after a kill nothing, or all of it, or trash beside it."""
    _empty(_put_aside(path))


def _put_aside(path: Path) -> Path:
    """The path under which what was at `path` waits for its end."""
    if path.name.startswith(TRASH_PREFIX):
        return path
    return path.rename(path.with_name(f"{TRASH_PREFIX}{secrets.token_hex(8)}"))


def _empty(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _verified_choices(listing: Listing, limits: Limits) -> tuple[Choice, ...]:
    """With whole contents read of each checkpoint that is kept in the place of another one."""
    verified: set[str] = set()
    while True:
        choices = removable(listing, limits)
        affected = {choice.run_id for choice in choices if choice.kind == Kind.CHECKPOINT}
        in_question = _kept_beside(listing, affected) - verified
        broken = {path for path in in_question if not _is_whole(path)}
        if not broken:
            return choices
        verified |= in_question - broken
        listing = listing.distrusting(broken)


def _kept_beside(listing: Listing, run_ids: Iterable[UUID | None]) -> set[str]:
    """Checkpoints that would be resumed from, of chains with one of the runs."""
    wanted = set(run_ids)
    kept = kept_for_resuming(listing)
    return {
        entry.path
        for chain in chains(listing.runs)
        if any(run.run_id in wanted for run in chain)
        for run in chain
        for attempt in run.attempts
        for entry in attempt.entries
        if entry.path in kept
    }


def _is_whole(path: str) -> bool:
    try:
        return verify_checkpoint(_absolute(path)).resumable
    except TrainingError as exc:
        logger.warning("an older checkpoint is kept: %s", exc)
        return False


def _remove_of_run(
    run_id: UUID, found: list[Found], listing: Listing, actor: User | None
) -> list[Found]:
    chain = next(c for c in chains(listing.runs) if any(run.run_id == run_id for run in c))
    aside: list[Path] = []
    removed: list[Found] = []
    with transaction.atomic():
        if not _is_as_listed(chain):
            return []
        for one in found:
            try:
                aside.append(_put_aside(_absolute(one.choice.path)))
            except OSError as exc:
                logger.warning("cannot remove %s: %s", one.choice.path, exc)
            else:
                removed.append(one)
        if removed:
            audit_record(
                actor=actor,
                action="storage.sweep",
                target=Run.objects.defer("report", "spec").get(pk=run_id),
                details={
                    "num_bytes": sum(one.num_bytes for one in removed),
                    "paths": [one.choice.path for one in removed][:20],
                    "num_paths": len(removed),
                },
            )
    for path in aside:
        _empty(path)
    return removed


def _is_as_listed(chain: tuple[RunFiles, ...]) -> bool:
    """The rows of a chain, locked now, say what they said when it was listed."""
    rows = Run.objects.select_for_update().filter(pk__in=[run.run_id for run in chain])
    now = {
        row.pk: (row.state, row.attempt, row.continues_id)
        for row in rows.order_by("pk").defer("report", "spec")
    }
    then = {run.run_id: (run.state.value, run.attempt, run.continues) for run in chain}
    is_continued = Run.objects.filter(continues=chain[0].run_id).exists()
    return now == then and not is_continued


def _remove_alone(found: Found, actor: User | None) -> bool:
    """Whether something that belongs to no run went."""
    choice = found.choice
    path = _absolute(choice.path)
    try:
        if choice.upload_id is not None:
            upload_discard(upload=Upload.objects.get(pk=choice.upload_id), actor=actor)
        else:
            remove_tree(path)
    except (OSError, ValidationError) as exc:
        logger.warning("cannot remove %s: %s", choice.path, exc)
        return False
    return True


def _found(choice: Choice) -> Found:
    return Found(choice=choice, num_bytes=tree_bytes(_absolute(choice.path)))


def _absolute(path: str) -> Path:
    if not is_within_data(path):
        raise ValueError(f"{path} is not in the data directory")
    return Path(settings.STUDIO_DATA_DIR) / path

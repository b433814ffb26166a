"""The disk guard: nothing is started that cannot fit.

What a run may write is held against what is free, less a reserve and less what the runs that work
now have still to write. A run that can never fit is refused when it is asked for; one that has to
wait for others stays queued, and its page says why.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from pipeline.contracts.base import SpecBase
from pipeline.contracts.references import Reference
from pipeline.errors import SpecError
from studio.runs.disk_estimates import (
    FLOAT32_BYTES,
    Writes,
    plan_writes,
    run_writes,
    stored_model_bytes,
    tree_bytes,
)
from studio.runs.documents import run_document
from studio.runs.models import Run
from studio.runs.paths import attempt_dir
from studio.runs.states import RunState


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """Bytes of the disk that holds the data directory."""

    free: int
    reserve: int
    """Kept for the database, logs and uploads (`STUDIO_DISK_RESERVE_GB`)."""
    promised: int
    """What runs that work now may still write."""

    @property
    def available(self) -> int:
        """What a new run may take; negative when the reserve is touched."""
        return self.free - self.reserve - self.promised


def room(*, with_promises: bool = True) -> Room:
    """How much room there is now; without what is promised, for what need not start now."""
    return Room(
        free=shutil.disk_usage(settings.STUDIO_DATA_DIR).free,
        reserve=settings.STUDIO_DISK_RESERVE_BYTES,
        promised=_promised() if with_promises else 0,
    )


def refuse_what_never_fits(specs: Iterable[SpecBase]) -> None:
    """The runs, one after another, fit on the disk once nothing else is at work.

    Raises:
        SpecError: `spec.no_disk_space`, with the numbers, in the reader's language.
    """
    writes = _writes_of(list(specs))
    space = room(with_promises=False)
    if writes.peak > space.available:
        raise SpecError(
            "spec.no_disk_space",
            _(
                "This may write up to %(needed)s; %(free)s of the disk are free, of which "
                "%(reserve)s are kept in reserve. Free space on the page Disk, or choose a "
                "smaller model."
            )
            % {
                "needed": filesizeformat(writes.peak),
                "free": filesizeformat(space.free),
                "reserve": filesizeformat(space.reserve),
            },
        )


def waiting_reason(run: Run) -> str:
    """Why a queued run cannot start for want of disk space, with the numbers; empty if it can."""
    if run.state != RunState.QUEUED:
        return ""
    needed, space = _peak(run), room()
    if needed <= space.available:
        return ""
    return _(
        "It waits for disk space: it may write up to %(needed)s; %(free)s are free, of which "
        "%(reserve)s are kept in reserve and %(promised)s are for runs that work now."
    ) % {
        "needed": filesizeformat(needed),
        "free": filesizeformat(space.free),
        "reserve": filesizeformat(space.reserve),
        "promised": filesizeformat(space.promised),
    }


def has_room(run_id: UUID) -> bool:
    """Whether the run, if it is queued, fits beside the runs that work now."""
    run = Run.objects.filter(pk=run_id).defer("report").first()
    return run is None or not waiting_reason(run)


def upload_fits(num_bytes: int) -> bool:
    """Whether a file of this size leaves the reserve alone."""
    return num_bytes <= room(with_promises=False).available


def _promised() -> int:
    promised = 0
    for run in Run.objects.active().defer("report"):
        written = tree_bytes(attempt_dir(run.pk, run.attempt))
        promised += max(0, _peak(run) - written)
    return promised


def _peak(run: Run) -> int:
    """0 for a run of a kind that this version of the platform does not know."""
    try:
        return _writes_of([run_document(run).spec]).peak
    except SpecError:
        return 0


def _writes_of(specs: list[SpecBase]) -> Writes:
    """Steps whose model another step makes are taken to be as large as the largest known one."""
    known = [
        _model_bytes(reference)
        for spec in specs
        for name in ("model", "target")
        if isinstance(reference := getattr(spec, name, None), Reference)
    ]
    largest = max(known, default=0)
    return plan_writes(
        run_writes(spec, lambda reference: _model_bytes(reference) or largest) for spec in specs
    )


def _model_bytes(reference: Reference) -> int:
    if reference.path is None:
        return 0
    path = Path(reference.path)
    for dotted in settings.STUDIO_MODEL_SIZES:
        num_parameters: int | None = import_string(dotted)(path)
        if num_parameters is not None:
            return num_parameters * FLOAT32_BYTES
    return stored_model_bytes(path)

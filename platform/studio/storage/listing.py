"""What lies in the data directory, beside what the database says about it."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from pipeline.contracts.manifest import MANIFEST_NAME, Manifest
from pipeline.errors import SpecError
from studio.accounts.models import Project
from studio.datasets.models import DatasetVersion, Import, Upload, uploads_dir
from studio.datasets.uncommitted import uncommitted_rows
from studio.registry.models import Checkpoint
from studio.runs.documents import stored_paths
from studio.runs.models import Run
from studio.runs.paths import STDERR_NAME, attempt_dir, run_dir
from studio.runs.reports import run_report
from studio.runs.states import RunState
from studio.storage.rules import AttemptFiles, Entry, Kind, Listing, RunFiles, UploadFile

RECORDS = frozenset({"spec.json", "events.jsonl", "report.json", STDERR_NAME})
TRASH_PREFIX = ".trash-"
CHECKPOINTS_NAME = "checkpoints"
PARTIAL_UPLOADS_NAME = "partial"


def data_path(path: Path) -> str:
    """`path` relative to the data directory, as the rules have it; others as they are."""
    data_dir = Path(settings.STUDIO_DATA_DIR)
    return path.relative_to(data_dir).as_posix() if path.is_relative_to(data_dir) else str(path)


def read_listing(project: Project | None = None) -> Listing:
    """All that is on disk for runs and uploads, of one project or of all.

    Checkpoints count as whole here when their manifest names files of the sizes that are there.
    """
    runs = Run.objects.defer("report", "spec")
    if project is not None:
        runs = runs.filter(project=project)
    return Listing(
        runs=tuple(_run_files(run) for run in runs.iterator()),
        uploads=tuple(_uploads(project)),
        deleted=tuple(_deleted(project)),
        protected=frozenset(_named_paths()),
    )


def is_within_data(path: str) -> bool:
    """Whether `data_path` gave a path of ours, which alone may be removed."""
    return not Path(path).is_absolute() and ".." not in Path(path).parts


def _run_files(run: Run) -> RunFiles:
    attempts = []
    if run_dir(run.pk).is_dir():
        for number in range(1, run.attempt + 1):
            entries = tuple(_entries(attempt_dir(run.pk, number)))
            if entries:
                attempts.append(AttemptFiles(number=number, entries=entries))
    return RunFiles(
        run_id=run.pk,
        project_id=run.project_id,
        state=RunState(run.state),
        attempt=run.attempt,
        finished_at=run.finished_at,
        continues=run.continues_id,
        attempts=tuple(attempts),
    )


def _entries(directory: Path) -> Iterator[Entry]:
    for path in _children(directory):
        if path.name == CHECKPOINTS_NAME and path.is_dir() and not path.is_symlink():
            for below in _children(path):
                yield _entry(below, is_checkpoint=below.name.startswith("step-"))
        elif path.name not in RECORDS:
            yield _entry(path)


def _entry(path: Path, *, is_checkpoint: bool = False) -> Entry:
    kind = Kind.CHECKPOINT if is_checkpoint else Kind.OUTPUT
    if path.name.startswith(TRASH_PREFIX):
        kind = Kind.TRASH
    elif path.name.startswith(".") and "partial" in path.name:
        kind = Kind.LEFTOVER
    manifest = _manifest(path) if kind == Kind.CHECKPOINT else None
    return Entry(
        path=data_path(path),
        kind=kind,
        modified_at=_modified_at(path),
        step=manifest.step if manifest else -1,
        spec_digest=manifest.spec_digest if manifest else "",
        is_whole=manifest is not None and manifest.resumable,
    )


def _manifest(directory: Path) -> Manifest | None:
    """Of a checkpoint whose files are there in the right sizes."""
    try:
        manifest = Manifest.parse((directory / MANIFEST_NAME).read_bytes())
        sizes = {file.name: (directory / file.name).stat().st_size for file in manifest.files}
    except (OSError, SpecError):
        return None
    return manifest if all(sizes[f.name] == f.num_bytes for f in manifest.files) else None


def _uploads(project: Project | None) -> Iterator[UploadFile]:
    """Files of the uploads folder; those without a record belong to no project."""
    uploads = Upload.objects.filter(discarded_at=None)
    if project is not None:
        uploads = uploads.filter(project=project)
    used = set(DatasetVersion.objects.live().values_list("upload_id", flat=True))
    unfinished = Run.objects.unfinished()
    is_read = Q(imports__run__in=unfinished) | Q(previews__run__in=unfinished)
    used |= set(Upload.objects.filter(is_read).values_list("pk", flat=True))
    for upload in uploads:
        if upload.path.exists():
            yield UploadFile(
                path=data_path(upload.path),
                project_id=upload.project_id,
                upload_id=upload.pk,
                modified_at=upload.created_at,
                is_used=upload.pk in used,
            )
    if project is not None:
        return
    recorded = set(Upload.objects.filter(discarded_at=None).values_list("pk", flat=True))
    partial = uploads_dir() / PARTIAL_UPLOADS_NAME
    for path in (*_children(uploads_dir()), *_children(partial)):
        if path != partial and _upload_id(path) not in recorded:
            yield UploadFile(
                path=data_path(path),
                project_id=None,
                upload_id=None,
                modified_at=_modified_at(path),
                is_used=False,
            )


def _deleted(project: Project | None) -> Iterator[tuple[str, int]]:
    """Files of what a person deleted: the removal was interrupted, or failed."""
    checkpoints = Checkpoint.objects.exclude(deleted_at=None).exclude(run=None)
    versions = DatasetVersion.objects.exclude(deleted_at=None).select_related("dataset")
    discarded = Import.objects.exclude(upload__discarded_at=None)
    if project is not None:
        checkpoints = checkpoints.filter(project=project)
        versions = versions.filter(dataset__project=project)
        discarded = discarded.filter(dataset__project=project)
    found = [(one.model_path, one.project_id) for one in checkpoints.only("path", "project")]
    found += [(one.rows_path.parent, one.dataset.project_id) for one in versions.defer("manifest")]
    found += uncommitted_rows(discarded)
    for path, project_id in found:
        if path.exists() and is_within_data(data_path(path)):
            yield data_path(path), project_id


def _named_paths() -> Iterator[str]:
    """Everything that a row of the database still stands for."""
    for path in Checkpoint.objects.live().values_list("path", flat=True):
        yield path
    for path in DatasetVersion.objects.live().values_list("path", flat=True):
        yield Path(path).parent.as_posix()
    for run in Run.objects.unfinished().defer("report"):
        for named in stored_paths(run):
            yield data_path(named)
    # A gate that did not hold fails a run that has a report.
    for run in Run.objects.filter(state=RunState.FAILED).exclude(report=None):
        report = run_report(run)
        for output in report.outputs.values() if report else ():
            yield data_path(attempt_dir(run.pk, run.attempt) / output.path)


def _children(directory: Path) -> Iterable[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return ()


def _modified_at(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except OSError:  # it went away: as young as can be
        return datetime.now(UTC)


def _upload_id(path: Path) -> UUID | None:
    try:
        return UUID(path.stem)
    except ValueError:
        return None

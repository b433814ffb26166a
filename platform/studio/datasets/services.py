"""What people do to data sets. Each call is one transaction with its audit event."""

import hashlib
import json
import shutil
from pathlib import PurePath

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from pipeline.contracts.documents import SpecDocument, read_run_spec
from pipeline.contracts.import_specs import ReadingOptions
from pipeline.contracts.kinds import RunSpec
from studio.accounts.audit import audit_record
from studio.accounts.models import Project, User
from studio.datasets.models import Dataset, DatasetVersion, Import, Preview, Upload
from studio.datasets.uncommitted import uncommitted_rows
from studio.runs.input_lock import lock_inputs
from studio.runs.inputs import unfinished_runs_reading
from studio.runs.services import run_create

SUFFIXES = frozenset(
    [
        ".jsonl",
        ".json",
        ".ndjson",
        ".csv",
        ".tsv",
        ".txt",
        ".md",
        ".markdown",
        ".docx",
        ".doc",
        ".wps",
        ".pdf",
        ".xlsx",
        ".xlsm",
        ".xls",
        ".parquet",
        ".zip",
    ]
)
"""Kept in the stored name, because they help to tell formats apart; all others are dropped."""


def file_sha256(file: TemporaryUploadedFile) -> str:
    """SHA-256 of an uploaded file's content."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def known_version(*, project: Project, sha256: str, kind: str) -> DatasetVersion | None:
    """A version that was made of exactly this file, without leaving any row out."""
    imported = DatasetVersion.objects.live().filter(run__kind="import_dataset")
    return (
        imported.filter(
            dataset__project=project, dataset__kind=kind, upload__sha256=sha256, num_rejected=0
        )
        .select_related("dataset", "upload", "created_by")
        .order_by("pk")
        .first()
    )


def upload_create(
    *, project: Project, actor: User, file: TemporaryUploadedFile, sha256: str
) -> Upload:
    """The file is stored; a file that the project already has is not stored twice."""
    known = Upload.objects.filter(project=project, sha256=sha256, discarded_at=None).first()
    if known is not None:
        return known
    name = "".join(c for c in PurePath(str(file.name)).name if c.isprintable())[:255] or "upload"
    suffix = PurePath(name).suffix.lower()
    with transaction.atomic():
        upload = Upload.objects.create(
            project=project,
            file_name=name,
            suffix=suffix if suffix in SUFFIXES else "",
            num_bytes=file.size or 0,
            sha256=sha256,
            uploader=actor,
        )
        audit_record(
            actor=actor,
            action="dataset.upload",
            target=upload,
            details={"num_bytes": upload.num_bytes, "sha256": sha256},
        )
        # Last, so that a failing insert leaves no file; a crash before the commit leaves one that
        # no row names.
        shutil.move(file.temporary_file_path(), upload.path)
        upload.path.chmod(0o600)
    return upload


def import_start(
    *,
    upload: Upload,
    actor: User,
    dataset_name: str,
    kind: str,
    policy: str,
    options: ReadingOptions | None = None,
    note: str = "",
) -> Import:
    """A run reads the upload into the data set called `dataset_name`, which is made if need be.

    It waits for nobody: its rows become a version when it succeeds, if the policy allows one. What
    a person uploads goes through `studio.datasets.previews`.

    Raises:
        ValidationError: the data set exists and holds rows of another kind.
        SpecError: the settings do not make a valid spec.
    """
    with transaction.atomic():
        lock_inputs(upload.project_id)
        document = import_document(
            upload=upload,
            dataset_name=dataset_name,
            kind=kind,
            policy=policy,
            options=options or ReadingOptions(),
        )
        return import_insert(
            document=document,
            upload=upload,
            actor=actor,
            dataset_name=dataset_name,
            kind=kind,
            note=note,
        )


def import_document(
    *, upload: Upload, dataset_name: str, kind: str, policy: str, options: ReadingOptions
) -> SpecDocument[RunSpec]:
    """The spec of a run that reads the upload."""
    spec = {
        **options.model_dump(mode="json"),
        "kind": "import_dataset",
        "name": f"{dataset_name}: {upload.file_name}"[:200],
        "source": {"path": str(upload.path), "digest": upload.sha256},
        "file_name": upload.file_name,
        "dataset_kind": kind,
        "policy": policy,
    }
    return read_run_spec(json.dumps(spec))


def import_insert(
    *,
    document: SpecDocument[RunSpec],
    upload: Upload,
    actor: User,
    dataset_name: str,
    kind: str,
    note: str,
    preview: Preview | None = None,
) -> Import:
    """A run of `document` is queued, inside a transaction that holds `lock_inputs`.

    What follows a preview waits for a person once it has read the file.

    Raises:
        ValidationError: the data set exists and holds rows of another kind.
        SpecError: the upload is not there any more.
    """
    refuse_other_kind(upload.project, dataset_name, kind)
    dataset, _is_new = Dataset.objects.get_or_create(
        project=upload.project,
        name=dataset_name,
        defaults={"kind": kind, "created_by": actor},
    )
    run = run_create(project=upload.project, actor=actor, spec=document)
    started = Import.objects.create(
        upload=upload,
        dataset=dataset,
        run=run,
        preview=preview,
        needs_commit=preview is not None,
        note=note,
        created_by=actor,
    )
    audit_record(
        actor=actor,
        action="dataset.import",
        target=started,
        details={"kind": kind, "waits": started.needs_commit},
    )
    return started


def refuse_other_kind(project: Project, dataset_name: str, kind: str) -> None:
    """A data set keeps its kind.

    Raises:
        ValidationError: one of this name exists and holds rows of another kind.
    """
    known = Dataset.objects.filter(project=project, name=dataset_name).first()
    if known is not None and known.kind != kind:
        raise ValidationError(
            _("The data set %(name)s holds %(kind)s: choose another name.")
            % {"name": known.name, "kind": known.get_kind_display()},
            code="kind_differs",
        )


def upload_discard(*, upload: Upload, actor: User | None) -> None:
    """The uploaded file is removed, with rows of it that nobody kept; versions made of it stay.

    Without an actor: by its age.

    Raises:
        ValidationError: a run is still reading it.
    """
    with transaction.atomic():
        lock_inputs(upload.project_id)
        upload = Upload.objects.select_for_update().get(pk=upload.pk)
        if upload.discarded_at is not None:
            return
        # Without the file nobody can look at it again, so that they are of no use either.
        rows = [path for path, _project in uncommitted_rows(Import.objects.filter(upload=upload))]
        if any(unfinished_runs_reading(upload.project, path) for path in (upload.path, *rows)):
            raise ValidationError(
                _("%(file)s is still being read: cancel the run first, or wait for it.")
                % {"file": upload.file_name},
                code="in_use",
            )
        upload.discarded_at = timezone.now()
        upload.save(update_fields=["discarded_at"])
        audit_record(actor=actor, action="dataset.discard", target=upload)

        def remove() -> None:
            upload.path.unlink(missing_ok=True)
            for directory in rows:
                shutil.rmtree(directory, ignore_errors=True)

        transaction.on_commit(remove)


def version_delete(*, version: DatasetVersion, actor: User) -> None:
    """The version's rows are removed; what it was, and what was made of it, stays on record.

    Raises:
        ValidationError: a run that has not ended reads it.
    """
    with transaction.atomic():
        lock_inputs(version.dataset.project_id)
        version = (
            DatasetVersion.objects.select_for_update(of=("self",))
            .select_related("dataset__project")
            .get(pk=version.pk)
        )
        if version.deleted_at is not None:
            return
        readers = unfinished_runs_reading(version.project, version.rows_path.parent)
        if readers:
            raise ValidationError(
                _("%(version)s is in use by the run %(run)s: cancel it first, or wait for it.")
                % {"version": version, "run": readers[0].name},
                code="in_use",
            )
        version.deleted_at = timezone.now()
        version.deleted_by = actor
        version.save(update_fields=["deleted_at", "deleted_by"])
        audit_record(
            actor=actor,
            action="dataset.delete_version",
            target=version,
            details={"digest": version.digest, "num_rows": version.num_rows},
        )
        directory = version.rows_path.parent
        transaction.on_commit(lambda: shutil.rmtree(directory, ignore_errors=True))

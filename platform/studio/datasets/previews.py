"""Looking at an upload before it is read, and reading it as it was looked at.

Asking twice for the same is asking once: two clicks, or two tabs, meet in the same run.
"""

import json
from typing import TypeVar

from django.db import transaction
from django.db.models import QuerySet

from pipeline.contracts.documents import SpecDocument, read_run_spec
from pipeline.contracts.import_specs import ReadingOptions
from pipeline.contracts.kinds import RunSpec
from pipeline.contracts.preview_dataset import PreviewDatasetResults
from studio.accounts.audit import audit_record
from studio.accounts.models import User
from studio.datasets.mappings import given_mappings
from studio.datasets.models import Import, ImportPolicy, Preview, Upload
from studio.datasets.services import import_document, import_insert, refuse_other_kind
from studio.runs.documents import run_document
from studio.runs.input_lock import lock_inputs
from studio.runs.models import Run
from studio.runs.reports import run_report
from studio.runs.services import run_create
from studio.runs.states import RunState

ENDED_BADLY = (RunState.FAILED, RunState.CANCELLED)
OfRun = TypeVar("OfRun", Preview, Import)


def preview_start(
    *,
    upload: Upload,
    actor: User,
    dataset_name: str,
    kind: str,
    options: ReadingOptions | None = None,
    note: str = "",
    remembers: bool = False,
) -> Preview:
    """A run looks at the upload; the one that did, or does, when nothing else was asked for.

    Raises:
        ValidationError: the data set exists and holds rows of another kind.
        SpecError: the upload is not there any more.
    """
    with transaction.atomic():
        lock_inputs(upload.project_id)
        refuse_other_kind(upload.project, dataset_name, kind)
        document = _preview_document(upload, kind, options or ReadingOptions())
        asked_before = Preview.objects.filter(
            upload=upload, dataset_name=dataset_name, kind=kind, note=note, created_by=actor
        )
        known = _same(asked_before, document)
        if known is not None:
            _remember(known, remembers=remembers)
            return known
        run = run_create(project=upload.project, actor=actor, spec=document)
        preview = Preview.objects.create(
            upload=upload,
            run=run,
            kind=kind,
            dataset_name=dataset_name,
            note=note,
            remembers=remembers,
            created_by=actor,
        )
        audit_record(actor=actor, action="dataset.preview", target=preview, details={"kind": kind})
    return preview


def preview_change(
    *,
    shown: Preview,
    actor: User,
    dataset_name: str,
    kind: str,
    options: ReadingOptions,
    note: str,
    remembers: bool,
) -> Preview:
    """The preview of other choices than those of `shown`; `shown` itself where they are the same.

    Raises:
        ValidationError: the data set exists and holds rows of another kind.
        SpecError: the upload is not there any more.
    """
    before = (shown.dataset_name, shown.kind, shown.note)
    has_ended_badly = shown.run.state in ENDED_BADLY
    is_same = before == (dataset_name, kind, note) and options == options_in_force(shown)
    if is_same and not has_ended_badly:
        _remember(shown, remembers=remembers)
        return shown
    return preview_start(
        upload=shown.upload,
        actor=actor,
        dataset_name=dataset_name,
        kind=kind,
        options=options,
        note=note,
        remembers=remembers,
    )


def check_start(*, preview: Preview, actor: User) -> Import:
    """A run reads every row as the preview shows the first; the one that does, when there is one.

    Its rows become a version only when a person says so.

    Raises:
        ValidationError: the data set exists and holds rows of another kind.
        SpecError: the upload is not there any more.
    """
    with transaction.atomic():
        lock_inputs(preview.upload.project_id)
        document = import_document(
            upload=preview.upload,
            dataset_name=preview.dataset_name,
            kind=preview.kind,
            policy=ImportPolicy.VALID_ROWS,
            options=options_in_force(preview),
        )
        known = _same(Import.objects.filter(preview=preview), document)
        if known is not None:
            return known
        return import_insert(
            document=document,
            upload=preview.upload,
            actor=actor,
            dataset_name=preview.dataset_name,
            kind=preview.kind,
            note=preview.note,
            preview=preview,
        )


def asked_options(run: Run) -> ReadingOptions:
    """How the run of an import or preview was told to read its file."""
    spec = run_document(run).spec
    if not isinstance(spec, ReadingOptions):
        raise TypeError(f"{type(spec).__name__} reads no file of rows")
    return ReadingOptions(**{name: getattr(spec, name) for name in ReadingOptions.model_fields})


def options_in_force(preview: Preview) -> ReadingOptions:
    """As asked, with the saved mapping that the preview found to fit."""
    options = asked_options(preview.run)
    found = preview_results(preview)
    if found is None or not found.is_saved_mapping:
        return options
    mapping = {"columns": found.columns_named, "columns_at": found.columns_at}
    return options.model_copy(update=mapping)


def preview_results(preview: Preview) -> PreviewDatasetResults | None:
    """What the preview found; None before its run has succeeded."""
    report = run_report(preview.run)
    results = report.results if report is not None else None
    return results if isinstance(results, PreviewDatasetResults) else None


def _preview_document(upload: Upload, kind: str, options: ReadingOptions) -> SpecDocument[RunSpec]:
    spec = {
        **options.model_dump(mode="json"),
        "kind": "preview_dataset",
        "name": upload.file_name[:200],
        "source": {"path": str(upload.path), "digest": upload.sha256},
        "file_name": upload.file_name,
        "dataset_kind": kind,
        "saved_mappings": given_mappings(upload.project, kind),
    }
    return read_run_spec(json.dumps(spec))


def _same(asked: QuerySet[OfRun], document: SpecDocument[RunSpec]) -> OfRun | None:
    """The newest of `asked` whose run is asked for exactly this and has not failed."""
    return (
        asked.filter(run__spec_digest=document.digest)
        .exclude(run__state__in=ENDED_BADLY)
        .select_related("run")
        .order_by("-pk")
        .first()
    )


def _remember(preview: Preview, *, remembers: bool) -> None:
    if preview.remembers != remembers:
        preview.remembers = remembers
        preview.save(update_fields=["remembers"])

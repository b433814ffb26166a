"""What columns meant, kept for the next file with columns of the same names."""

from pipeline.contracts.import_results import ImportDatasetResults
from pipeline.contracts.preview_dataset import shape_of
from pipeline.contracts.reports import Report
from studio.accounts.audit import audit_record
from studio.accounts.models import Project, User
from studio.datasets.models import Import, Preview, SavedMapping
from studio.runs.documents import run_document
from studio.runs.models import Run

MAX_GIVEN = 50
"""A preview is told the newest of its project and kind."""


def given_mappings(project: Project, kind: str) -> list[dict[str, object]]:
    """The project's mappings, as the spec of a preview has them."""
    saved = SavedMapping.objects.filter(project=project, kind=kind).order_by("-pk")[:MAX_GIVEN]
    return [
        {"shape": one.shape, "columns": one.columns, "columns_at": one.columns_at} for one in saved
    ]


def remember_mapping(run: Run, report: Report) -> None:
    """What the columns of a file meant is saved, if its person asked for that.

    In the transaction in which the import succeeds; called as a publisher.
    """
    started = Import.objects.filter(run=run).select_related("preview").first()
    if started is None or started.preview is None or not started.preview.remembers:
        return
    results = report.results
    if not isinstance(results, ImportDatasetResults) or results.has_file_error:
        return
    shape = shape_of(column.name for column in results.source.columns)
    spec = run_document(run).spec.model_dump(mode="json")
    mapping = {"columns": spec["columns"], "columns_at": spec["columns_at"]}
    if not shape or not any(mapping.values()):
        return
    saved, is_new = SavedMapping.objects.update_or_create(
        project=run.project,
        kind=started.dataset.kind,
        shape=shape,
        defaults={**mapping, "created_by": started.created_by},
    )
    audit_record(
        actor=started.created_by,
        action="dataset.save_mapping",
        target=saved,
        details={"shape": shape, "is_new": is_new},
    )


def saved_mapping(preview: Preview, shape: str) -> SavedMapping | None:
    """The mapping that the preview used, unless it was removed since."""
    return (
        SavedMapping.objects.filter(project=preview.upload.project, kind=preview.kind, shape=shape)
        .select_related("created_by")
        .first()
    )


def mapping_forget(*, mapping: SavedMapping, actor: User) -> None:
    """Files with such columns are read by their names again."""
    audit_record(
        actor=actor,
        action="dataset.forget_mapping",
        target=mapping,
        details={"shape": mapping.shape},
    )
    mapping.delete()

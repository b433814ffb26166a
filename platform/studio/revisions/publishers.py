"""A finished revision becomes a version, in the transaction in which its run succeeds."""

from django.conf import settings
from django.db.models import Max

from pipeline.contracts.dataset_revisions import ReviseDatasetResults
from pipeline.contracts.reports import Report
from studio.accounts.audit import audit_record
from studio.datasets.models import Dataset, DatasetVersion, Import, Upload
from studio.revisions.models import PendingChange, Revision
from studio.runs.models import Run
from studio.runs.paths import attempt_dir


def publish_revision(run: Run, report: Report) -> None:
    """The data set has one more version, if `run` revised one and every change could be made."""
    if not isinstance(report.results, ReviseDatasetResults) or report.results.manifest is None:
        return
    revision = _revision_of(run)
    if revision is None:
        return  # started from the API
    # Two versions of one data set may be finished at once: the second waits for its number.
    dataset = Dataset.objects.select_for_update().get(pk=revision.base.dataset_id)
    newest = dataset.versions.aggregate(number=Max("number"))["number"]
    manifest = report.results.manifest
    path = attempt_dir(run.pk, run.attempt) / report.outputs["dataset"].path
    version = DatasetVersion.objects.create(
        dataset=dataset,
        number=(newest or 0) + 1,
        path=path.relative_to(settings.STUDIO_DATA_DIR).as_posix(),
        digest=manifest.rows_sha256,
        num_rows=manifest.num_rows,
        num_rejected=manifest.num_rejected,
        manifest=manifest.model_dump(mode="json"),
        note=revision.reason[:200],
        run=run,
        upload=_upload_of(revision),
        created_by=revision.created_by,
    )
    PendingChange.objects.filter(revision=revision).delete()
    audit_record(
        actor=revision.created_by,
        action="dataset.publish",
        target=version,
        details={
            "num_rows": version.num_rows,
            "digest": version.digest,
            "base": revision.base.digest,
        },
    )


def _revision_of(run: Run) -> Revision | None:
    """What `run`, or the run it repeats, was started for."""
    current: Run | None = run
    while current is not None:
        found = Revision.objects.filter(run=current).select_related("base", "created_by").first()
        if found is not None:
            return found
        current = current.continues or current.cloned_from
    return None


def _upload_of(revision: Revision) -> Upload:
    """The file the newest rows came from."""
    started = Import.objects.filter(run=revision.appended).select_related("upload").first()
    return revision.base.upload if started is None else started.upload

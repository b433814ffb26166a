"""A finished import becomes a version, in the transaction in which its run succeeds."""

from django.conf import settings
from django.db.models import Max
from django.urls import reverse

from pipeline.contracts.import_results import ImportDatasetResults
from pipeline.contracts.reports import Report
from studio.accounts.audit import audit_record
from studio.datasets.models import Dataset, DatasetVersion, Import
from studio.runs.models import Run
from studio.runs.paths import attempt_dir


def publish_version(run: Run, report: Report) -> None:
    """The data set has one more version, if `run` is an import that committed its rows."""
    if not isinstance(report.results, ImportDatasetResults) or report.results.manifest is None:
        return  # another kind of run, or no row was committed
    started_as = _import_of(run)
    if started_as is None:
        return  # started from the API, not by an upload
    # Two imports into one data set may end at once: the second waits for its number.
    dataset = Dataset.objects.select_for_update().get(pk=started_as.dataset_id)
    newest = dataset.versions.aggregate(number=Max("number"))["number"]
    manifest = report.results.manifest
    output = report.outputs["dataset"]
    path = attempt_dir(run.pk, run.attempt) / output.path
    version = DatasetVersion.objects.create(
        dataset=dataset,
        number=(newest or 0) + 1,
        path=path.relative_to(settings.STUDIO_DATA_DIR).as_posix(),
        digest=manifest.rows_sha256,
        num_rows=manifest.num_rows,
        num_rejected=manifest.num_rejected,
        manifest=manifest.model_dump(mode="json"),
        note=started_as.note,
        run=run,
        upload=started_as.upload,
        created_by=run.created_by,
    )
    audit_record(
        actor=run.created_by,
        action="dataset.publish",
        target=version,
        details={"num_rows": version.num_rows, "digest": version.digest},
    )


def version_page(run: Run, report: Report) -> dict[str, str]:
    """The page of the version that was made of the run's rows."""
    if "dataset" not in report.outputs:
        return {}
    version = DatasetVersion.objects.filter(run=run).select_related("dataset__project").first()
    if version is None:
        return {}
    return {"dataset": reverse("datasets:version", args=[version.project.slug, version.pk])}


def _import_of(run: Run) -> Import | None:
    """The import that `run`, or the run it repeats, was started for."""
    current: Run | None = run
    while current is not None:
        found = Import.objects.filter(run=current).first()
        if found is not None:
            return found
        current = current.continues or current.cloned_from
    return None

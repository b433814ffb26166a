"""A finished import becomes a version: at once, or when a person has seen what it found."""

from django.conf import settings
from django.db.models import Max
from django.urls import reverse

from pipeline.contracts.dataset_manifest import DatasetManifest
from pipeline.contracts.import_results import ImportDatasetResults
from pipeline.contracts.reports import Output, Report
from studio.accounts.audit import audit_record
from studio.accounts.models import User
from studio.datasets.models import Dataset, DatasetVersion, Import
from studio.runs.models import Run
from studio.runs.paths import attempt_dir


def publish_version(run: Run, report: Report) -> None:
    """The data set has one more version, if `run` is an import that waits for nobody.

    In the transaction in which the run succeeds.
    """
    manifest = manifest_of(report)
    if manifest is None:
        return  # another kind of run, or no row was committed
    started_as = _import_of(run)
    if started_as is None:
        return  # started from the API, not by an upload
    if not started_as.needs_commit:
        output = report.outputs["dataset"]
        make_version(run, manifest, output, started_as=started_as, author=run.created_by)
    elif started_as.run_id != run.pk:
        # A person resumed or repeated the run: its report waits for them as the first one's did.
        Import.objects.create(
            upload=started_as.upload,
            dataset=started_as.dataset,
            run=run,
            preview=started_as.preview,
            needs_commit=True,
            note=started_as.note,
            created_by=run.created_by,
        )


def make_version(
    run: Run, manifest: DatasetManifest, output: Output, *, started_as: Import, author: User
) -> DatasetVersion:
    """The next version of the data set, of the rows that `run` wrote; inside a transaction."""
    # Two imports into one data set may end at once: the second waits for its number.
    dataset = Dataset.objects.select_for_update().get(pk=started_as.dataset_id)
    path = attempt_dir(run.pk, run.attempt) / output.path
    version = DatasetVersion.objects.create(
        dataset=dataset,
        number=next_number(dataset),
        path=path.relative_to(settings.STUDIO_DATA_DIR).as_posix(),
        digest=manifest.rows_sha256,
        num_rows=manifest.num_rows,
        num_rejected=manifest.num_rejected,
        manifest=manifest.model_dump(mode="json"),
        note=started_as.note,
        run=run,
        upload=started_as.upload,
        created_by=author,
    )
    audit_record(
        actor=author,
        action="dataset.publish",
        target=version,
        details={"num_rows": version.num_rows, "digest": version.digest},
    )
    return version


def next_number(dataset: Dataset) -> int:
    """Of the version that would be made now."""
    newest = dataset.versions.aggregate(number=Max("number"))["number"]
    return (newest or 0) + 1


def manifest_of(report: Report) -> DatasetManifest | None:
    """Of the rows that an import wrote and that may be kept; None where there are none."""
    results = report.results
    return results.manifest if isinstance(results, ImportDatasetResults) else None


def version_page(run: Run, report: Report) -> dict[str, str]:
    """The page of the version that was made of the run's rows, or of the report that waits."""
    if "dataset" not in report.outputs:
        return {}
    version = DatasetVersion.objects.filter(run=run).select_related("dataset__project").first()
    if version is not None:
        return {"dataset": reverse("datasets:version", args=[version.project.slug, version.pk])}
    waiting = Import.objects.filter(run=run).select_related("dataset__project").first()
    if waiting is None:
        return {}
    return {"dataset": reverse("datasets:report", args=[waiting.project.slug, waiting.pk])}


def _import_of(run: Run) -> Import | None:
    """The import that `run`, or the run it repeats, was started for."""
    current: Run | None = run
    while current is not None:
        found = Import.objects.filter(run=current).first()
        if found is not None:
            return found
        current = current.continues or current.cloned_from
    return None

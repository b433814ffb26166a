"""A finished cleaning becomes a version, in the transaction in which its run succeeds."""

from django.conf import settings
from django.db.models import Max

from pipeline.contracts.quality_checks import MaskDatasetResults
from pipeline.contracts.reports import Report
from studio.accounts.audit import audit_record
from studio.datasets.models import Dataset, DatasetVersion
from studio.quality.models import Cleaning
from studio.runs.models import Run
from studio.runs.paths import attempt_dir


def publish_cleaned(run: Run, report: Report) -> None:
    """The data set has one more version, if `run` cleaned one and something was to be done."""
    results = report.results
    if not isinstance(results, MaskDatasetResults) or results.manifest is None:
        return
    cleaning = _cleaning_of(run)
    if cleaning is None:
        return  # started from the API, not by a page
    # Two runs into one data set may end at once: the second waits for its number.
    dataset = Dataset.objects.select_for_update().get(pk=cleaning.version.dataset_id)
    newest = dataset.versions.aggregate(number=Max("number"))["number"]
    path = attempt_dir(run.pk, run.attempt) / report.outputs["dataset"].path
    version = DatasetVersion.objects.create(
        dataset=dataset,
        number=newest + 1,
        path=path.relative_to(settings.STUDIO_DATA_DIR).as_posix(),
        digest=results.manifest.rows_sha256,
        num_rows=results.manifest.num_rows,
        num_rejected=results.manifest.num_rejected,
        manifest=results.manifest.model_dump(mode="json"),
        note=cleaning.note,
        run=run,
        upload=cleaning.version.upload,
        created_by=run.created_by,
    )
    audit_record(
        actor=run.created_by,
        action="quality.publish",
        target=version,
        details={"from": cleaning.version_id, "digest": version.digest},
    )


def _cleaning_of(run: Run) -> Cleaning | None:
    """The cleaning that `run`, or the run it repeats, was started for."""
    current: Run | None = run
    while current is not None:
        found = Cleaning.objects.filter(run=current).select_related("version__upload").first()
        if found is not None:
            return found
        current = current.continues or current.cloned_from
    return None

"""Rows that can be put behind those of a version: another version's, or an import's."""

from dataclasses import dataclass

from pipeline.contracts.dataset_revisions import ReviseDatasetResults
from pipeline.contracts.import_results import ImportDatasetResults
from studio.datasets.models import DatasetVersion, Import
from studio.runs.models import Run
from studio.runs.paths import attempt_dir
from studio.runs.reports import run_report
from studio.runs.states import RunState


@dataclass(frozen=True, kw_only=True, slots=True)
class AppendedRows:
    """Rows of a run that has ended well."""

    run: Run
    num_rows: int
    reference: dict[str, str]
    """For a spec (`pipeline.contracts.references.DatasetRef`)."""


def rows_of_run(run: Run) -> AppendedRows | None:
    """The rows that the run wrote; None where there are none."""
    report = run_report(run) if run.state == RunState.SUCCEEDED else None
    if report is None or not isinstance(
        report.results, ImportDatasetResults | ReviseDatasetResults
    ):
        return None
    manifest = report.results.manifest
    if manifest is None or "dataset" not in report.outputs:
        return None
    path = attempt_dir(run.pk, run.attempt) / report.outputs["dataset"].path
    return AppendedRows(
        run=run,
        num_rows=manifest.num_rows,
        reference={"path": str(path), "digest": manifest.rows_sha256, "kind": manifest.kind},
    )


def versions_to_extend(started: Import) -> list[DatasetVersion]:
    """The versions that the rows of an import could be added to, newest first."""
    versions = DatasetVersion.objects.live().filter(
        dataset__project=started.project, dataset__kind=started.dataset.kind
    )
    of_same_data = versions.filter(dataset=started.dataset).exclude(run=started.run)
    return list(of_same_data.select_related("dataset").defer("manifest").order_by("-number")[:20])

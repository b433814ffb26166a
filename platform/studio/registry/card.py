"""What the card of a checkpoint shows besides the checkpoint."""

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db.models import Q

from pipeline.contracts.reports import Report
from studio.datasets.models import DatasetVersion
from studio.registry.models import Checkpoint
from studio.runs.documents import run_document
from studio.runs.inputs import spec_inputs
from studio.runs.kinds import KINDS
from studio.runs.models import Run

MAX_RESULTS = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """A file that the run of a checkpoint has read."""

    location: str
    label: str
    version: DatasetVersion | None
    digest: str


def checkpoint_inputs(found: Checkpoint, report: Report | None) -> list[Input]:
    """What the checkpoint's run has read besides models; `report` is that run's."""
    if found.run is None:
        return []
    paths = [
        (named.location, Path(named.path))
        for named in spec_inputs(run_document(found.run).spec)
        if named.location.split(".")[0] not in {"model", "target", "source"}
    ]
    data_dir = Path(settings.STUDIO_DATA_DIR)
    stored = [
        path.relative_to(data_dir).as_posix() for _l, path in paths if path.is_relative_to(data_dir)
    ]
    versions = {
        version.rows_path: version
        for version in DatasetVersion.objects.filter(
            path__in=stored, dataset__project=found.project
        )
        .select_related("dataset")
        .defer("manifest")
    }
    digests = report.inputs if report else {}
    inputs = []
    for location, path in paths:
        version = versions.get(path)
        name = location.removesuffix(".path")
        inputs.append(
            Input(
                location=name,
                label=str(version) if version else path.name,
                version=version,
                digest=version.digest if version else digests.get(name, ""),
            )
        )
    return inputs


def report_figures(report: Report) -> list[tuple[str, int | float | str]]:
    """The single figures of a training report."""
    return [
        (name, value)
        for name, value in report.results
        if name != "kind" and isinstance(value, int | float | str) and not isinstance(value, bool)
    ]


def measurements(found: Checkpoint) -> list[Run]:
    """Runs that measured the checkpoint, newest first."""
    path = str(found.model_path)
    measured = Q()
    for kind in KINDS.values():
        if kind.measured_field:
            field = f"spec__{kind.measured_field}__path"
            measured |= Q(("kind", kind.name), (field, path))
    runs = Run.objects.filter(measured, project=found.project).for_list()
    return list(runs.order_by("-created_at")[:MAX_RESULTS])

"""The files that specs name: who reads one, and whether a project may."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _

from pipeline.errors import SpecError
from studio.accounts.models import Project
from studio.runs.models import Run


def spec_paths(spec: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """(dotted location, path) of every file or directory that a spec names."""
    return _paths(spec, ())


def unfinished_runs_reading(project: Project, directory: Path) -> list[Run]:
    """Runs of the project that have not ended and name something in `directory`.

    Steps of a plan that wait for the run whose output it is are counted too: their specs do not
    name the path yet.
    """
    unfinished = Run.objects.filter(project=project).unfinished()
    maker_id = _run_id(directory)
    maker = Run.objects.filter(pk=maker_id).exclude(plan=None).first() if maker_id else None
    return [
        run
        for run in unfinished.defer("report")
        if (maker is not None and run.plan_id == maker.plan_id)
        or any(Path(path).is_relative_to(directory) for _location, path in spec_paths(run.spec))
    ]


def refuse_foreign_runs(project: Project, spec: Mapping[str, object]) -> None:
    """Every run whose files the spec names belongs to the project.

    Raises:
        SpecError: `spec.path_not_allowed`, with the dotted location.
    """
    for location, path in spec_paths(spec):
        run_id = _run_id(Path(path))
        if run_id is not None and not Run.objects.filter(pk=run_id, project=project).exists():
            raise SpecError(
                "spec.path_not_allowed",
                _("%(location)s: the file belongs to no run of this project; choose another")
                % {"location": location},
            )


def _run_id(path: Path) -> UUID | None:
    runs = Path(settings.STUDIO_DATA_DIR).resolve() / "runs"
    resolved = path.resolve()
    if not resolved.is_relative_to(runs) or resolved == runs:
        return None
    try:
        return UUID(resolved.relative_to(runs).parts[0])
    except ValueError:
        return None


def _paths(value: object, location: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        if isinstance(value.get("path"), str):
            yield ".".join((*location, "path")), value["path"]
        for key, child in value.items():
            yield from _paths(child, (*location, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _paths(child, (*location, str(index)))

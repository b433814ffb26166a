"""The files that specs name: which object each belongs to, and whether a project may use it.

A path is never judged by its parts. It is compared, letter by letter, with the paths of the objects
that a project has: a second spelling of a path is another text, so it belongs to nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from pipeline.contracts.base import SpecBase
from pipeline.contracts.references import named_references
from pipeline.contracts.reports import Output, Report
from pipeline.errors import SpecError
from studio.accounts.models import Project
from studio.pages.text import control_character
from studio.runs.documents import stored_paths
from studio.runs.models import Run
from studio.runs.paths import attempt_dir, is_linked
from studio.runs.reports import run_report
from studio.runs.states import RunState


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedInput:
    """One file or directory that a spec names."""

    location: str
    """Dotted, for the message: `text_overlap.dataset.path`."""
    path: str
    takes: str
    """What belongs there (`pipeline.contracts.references.Reference.takes`)."""


Owner = Callable[[Project, NamedInput], bool]
"""Says whether the path is that of an object of its app, which the project may use there.

Raises `SpecError` when it was one and is deleted.
"""


def spec_inputs(spec: SpecBase) -> Iterator[NamedInput]:
    """Everything that a spec names by path; outputs of a plan's earlier steps have none yet."""
    for location, reference in named_references(spec):
        if reference.path is not None:
            yield NamedInput(
                location=f"{location}.path", path=reference.path, takes=reference.takes
            )


def unfinished_runs_reading(project: Project, directory: Path) -> list[Run]:
    """Runs of the project that have not ended and name something in `directory`.

    Steps of a plan that wait for the run whose output it is are counted too: their specs do not
    name the path yet.
    """
    unfinished = Run.objects.filter(project=project).unfinished()
    maker_id = _run_id(str(directory))
    maker = Run.objects.filter(pk=maker_id).exclude(plan=None).first() if maker_id else None
    return [
        run
        for run in unfinished.defer("report")
        if (maker is not None and run.plan_id == maker.plan_id)
        or any(path.is_relative_to(directory) for path in stored_paths(run))
    ]


def refuse_unknown_inputs(project: Project, spec: SpecBase) -> None:
    """Everything that the spec names is an object which the project may use.

    The apps that own the objects are asked: `settings.STUDIO_RUN_INPUTS`.

    Raises:
        SpecError: `spec.path_not_allowed`, or `spec.input_deleted` for what was deleted, with the
            dotted location, in the reader's language.
    """
    owners: list[Owner] = [import_string(dotted) for dotted in settings.STUDIO_RUN_INPUTS]
    for named in spec_inputs(spec):
        # All are asked, because one may know that it was deleted.
        is_text = not control_character(named.path)
        answers = [owner(project, named) for owner in owners if is_text]
        if not any(answers) or is_linked(named.path):
            raise SpecError(
                "spec.path_not_allowed",
                _(
                    "%(location)s: no object of the project has this path; name the object, such "
                    'as {"object": "version:12"}, "checkpoint:3", "run:ID:samples" or "base:NAME"'
                )
                % {"location": named.location},
            )


def refuse_linked_outputs(run: Run, report: Report) -> None:
    """What the run leaves behind is its own: no output is a link to something else.

    Pages read outputs with the platform's rights, which a run does not have.

    Raises:
        PermissionError: one is; nothing is published.
    """
    directory = attempt_dir(run.pk, run.attempt)
    for name, output in report.outputs.items():
        if is_linked(str(directory / output.path)):
            raise PermissionError(f"the output {name} is reached through a symbolic link")


def is_run_output(project: Project, named: NamedInput) -> bool:
    """The path is an output of one of the project's succeeded runs."""
    return run_output(project, named.path) is not None


def run_output(project: Project, path: str) -> Output | None:
    """The output of one of the project's succeeded runs that is at `path`, as we spell it."""
    run_id = _run_id(path)
    if run_id is None:
        return None
    succeeded = Run.objects.filter(pk=run_id, project=project, state=RunState.SUCCEEDED)
    run = succeeded.defer("spec").first()
    report = run_report(run) if run else None
    if run is None or report is None:
        return None
    directory = attempt_dir(run.pk, run.attempt)
    outputs = {str(directory / output.path): output for output in report.outputs.values()}
    return outputs.get(path)


def _run_id(path: str) -> UUID | None:
    """Of the run in whose directory `path` is, as we spell it."""
    runs = str(Path(settings.STUDIO_DATA_DIR) / "runs")
    name = path.removeprefix(f"{runs}/").partition("/")[0]
    try:
        run_id = UUID(name)
    except ValueError:
        return None
    return run_id if str(run_id) == name else None

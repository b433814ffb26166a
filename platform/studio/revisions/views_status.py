"""How far a revision is, and what became of it."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from pipeline.contracts.dataset_revisions import ReviseDatasetResults
from studio.accounts.access import ProjectRequest, project_required
from studio.datasets.models import DatasetVersion
from studio.datasets.row_error_texts import describe
from studio.pages.polling import polled
from studio.revisions.models import Revision
from studio.runs.reports import run_report
from studio.runs.states import RunState


@require_safe
@project_required()
def status(request: ProjectRequest, revision_id: int) -> HttpResponse:
    """The version that was made, or what stood in its way."""
    revision = _revision(request, revision_id)
    run = revision.run
    report = run_report(run) if run.state == RunState.SUCCEEDED else None
    results = report.results if report is not None else None
    context: dict[str, object] = {"revision": revision, "run": run}
    if isinstance(results, ReviseDatasetResults):
        context |= {
            "results": results,
            "problems": [
                (
                    problem.id,
                    *describe(problem.code, {**problem.params, "value": problem.value_excerpt}, {}),
                )
                for problem in results.problems
            ],
            "version": DatasetVersion.objects.filter(run=run).select_related("dataset").first(),
        }
    return render(request, "revisions/status.html", context)


@require_safe
@project_required()
def progress(request: ProjectRequest, revision_id: int) -> HttpResponse:
    """The part of the page that changes while the run is working."""
    revision = _revision(request, revision_id)
    response = render(request, "revisions/_progress.html", {"run": revision.run})
    return polled(response, has_ended=revision.run.is_terminal)


def _revision(request: ProjectRequest, revision_id: int) -> Revision:
    revisions = Revision.objects.filter(base__dataset__project=request.project)
    return get_object_or_404(
        revisions.select_related("run", "base__dataset__project", "created_by"), pk=revision_id
    )

"""What differs between two versions of a data set, row by row and field by field."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from pipeline.contracts.version_comparison import CompareVersionsResults
from pipeline.errors import SpecError
from studio.accounts.access import ProjectRequest, project_required
from studio.datasets.models import Dataset
from studio.datasets.rights import UPLOADERS
from studio.pages.pagination import first_index
from studio.pages.polling import polled
from studio.revisions.comparisons import comparison_start
from studio.revisions.differences import read_differences
from studio.revisions.forms import CompareForm
from studio.revisions.models import Comparison
from studio.runs.reports import run_report
from studio.runs.states import RunState

CHANGES = ("changed", "added", "removed")


@require_http_methods(["GET", "POST"])
@project_required()
def compare(request: ProjectRequest, dataset_id: int) -> HttpResponse:
    """Two versions are chosen; what differs is found by a run, once."""
    dataset = get_object_or_404(
        Dataset.objects.for_user(request.user), project=request.project, pk=dataset_id
    )
    versions = list(dataset.versions.live().defer("manifest").order_by("-number"))
    form = CompareForm(request.POST or None, versions=versions)
    if request.method == "POST" and form.is_valid():
        older, newer = form.chosen()
        known = Comparison.objects.filter(older=older, newer=newer).select_related("run").first()
        if known is not None and known.run.state not in (RunState.FAILED, RunState.CANCELLED):
            return redirect("revisions:differences", request.project.slug, known.pk)
        if request.role in UPLOADERS or request.role == "admin":
            try:
                started = comparison_start(older=older, newer=newer, actor=request.user)
            except SpecError as error:
                form.add_error(None, str(error))
            else:
                return redirect("revisions:differences", request.project.slug, started.pk)
        else:
            form.add_error(None, form.NOT_ALLOWED)
    context = {"dataset": dataset, "form": form, "num_versions": len(versions)}
    return render(request, "revisions/compare.html", context, status=400 if form.errors else 200)


@require_safe
@project_required()
def differences(request: ProjectRequest, comparison_id: int) -> HttpResponse:
    """Counts, and one page of the rows that differ."""
    found = _comparison(request, comparison_id)
    report = run_report(found.run) if found.run.state == RunState.SUCCEEDED else None
    results = report.results if report is not None else None
    context: dict[str, object] = {"comparison": found, "run": found.run}
    if report is not None and isinstance(results, CompareVersionsResults):
        counts = {
            "changed": results.num_changed,
            "added": results.num_added,
            "removed": results.num_removed,
        }
        largest = next((name for name in CHANGES if counts[name]), CHANGES[0])
        change = request.GET.get("change", "")
        change = change if change in CHANGES else largest
        context |= {
            "results": results,
            "counts": counts,
            "change": change,
            "page": read_differences(
                found,
                report,
                change=change,
                start=first_index(request),
            ),
        }
    return render(request, "revisions/differences.html", context)


@require_safe
@project_required()
def compare_progress(request: ProjectRequest, comparison_id: int) -> HttpResponse:
    """The part of the page that changes while the run is working."""
    found = _comparison(request, comparison_id)
    response = render(request, "revisions/_progress.html", {"run": found.run})
    return polled(response, has_ended=found.run.is_terminal)


def _comparison(request: ProjectRequest, comparison_id: int) -> Comparison:
    comparisons = Comparison.objects.filter(newer__dataset__project=request.project)
    return get_object_or_404(
        comparisons.select_related("run", "older__dataset__project", "newer__dataset__project"),
        pk=comparison_id,
    )

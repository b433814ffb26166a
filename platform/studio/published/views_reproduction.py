"""Published scores of models and tests, with ours beside them."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from studio.accounts.access import ProjectRequest, project_required
from studio.evaluations.dashboards import tabs, unreadable_absences
from studio.evaluations.results import evaluations_of, succeeded, unreadable
from studio.evaluations.selection import NEWEST
from studio.published.reproductions import shown_scores


@require_safe
@project_required()
def reproduction(request: ProjectRequest) -> HttpResponse:
    """Row by row: the score, its source and setting, ours, and the difference."""
    asked = succeeded(request.project, "evaluate").filter(
        report__results__benchmarks__0__isnull=False
    )
    runs = list(asked[:NEWEST])
    evaluations = evaluations_of(request.project, runs)
    context = {
        "scores": shown_scores(evaluations),
        "absences": unreadable_absences(unreadable(runs, evaluations)),
        "newest": NEWEST,
        "tabs": tabs(request, "published:reproduction"),
    }
    return render(request, "published/reproduction.html", context)

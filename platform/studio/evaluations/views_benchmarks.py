"""The page of known benchmarks."""

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from studio.accounts.access import ProjectRequest, project_required
from studio.evaluations.benchmark_tables import absences, benchmark_tables
from studio.evaluations.dashboards import dashboard
from studio.evaluations.harness_tables import harness_tables
from studio.evaluations.results import evaluations_of
from studio.evaluations.selection import select_runs


@require_safe
@project_required()
def benchmarks(request: ProjectRequest) -> HttpResponse:
    """What the chosen checkpoints reach on known benchmarks."""
    selection = select_runs(request, "evaluate")
    evaluations = evaluations_of(request.project, selection.runs)
    context: dict[str, object] = {
        "tables": [*benchmark_tables(evaluations), *harness_tables(evaluations)]
    }
    return dashboard(
        request, "evaluations:benchmarks", selection, evaluations, context,
        absences=absences(evaluations),
    )  # fmt: skip

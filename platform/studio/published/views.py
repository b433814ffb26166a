"""Our results beside the paper's."""

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from pipeline.contracts.claims import SOURCE
from studio.accounts.access import ProjectRequest, project_required
from studio.evaluations.dashboards import dashboard
from studio.evaluations.results import benchmarks_of, evaluations_of, succeeded
from studio.evaluations.selection import select_runs
from studio.evaluations.stored_figures import pair_figures
from studio.measures.documents import Documents
from studio.pages.security import charts_page
from studio.published.claims import shown_claims
from studio.published.claims_chart import claims_chart
from studio.published.measured import Measured, by_role, pairs_to_compare
from studio.published.words import ClaimFamily, judge_claims


@require_safe
@charts_page
@project_required()
def index(request: ProjectRequest) -> HttpResponse:
    """Claim by claim, for one plan of ours."""
    selection = select_runs(request, "evaluate", prefers_plan=True)
    evaluations = evaluations_of(request.project, selection.runs)
    newest = succeeded(request.project, "speculative_decode")
    if selection.plan is not None:
        newest = newest.filter(plan=selection.plan)
    roles = by_role(evaluations)
    pairs = pairs_to_compare(roles)
    stored = {
        documents: pair_figures(pairs, documents) for documents in (Documents.ALL, Documents.UNSEEN)
    }
    benchmark = next(iter(benchmarks_of(newest[:1])), None)
    measured = Measured(evaluations=roles, benchmark=benchmark, stored=stored)
    family = judge_claims(measured)
    claims = shown_claims(measured, family)
    context: dict[str, object] = {
        "claims": claims,
        "source": SOURCE,
        "num_judged": family.num_tests,
        "charts": [claims_chart(claims)],
        "pending_query": _pending_query(measured, family),
    }
    return dashboard(request, "published:index", selection, evaluations, context)


def _pending_query(measured: Measured, family: ClaimFamily) -> str:
    """What is computed next of what the page waits for; empty when it waits for nothing."""
    for documents, found in measured.stored.items():
        for key, one in found.items():
            if one.is_pending:
                return "run={}&run={}&documents={}".format(*key, documents.value)
    if family.pending is None:
        return ""
    return "run={}&run={}&tests={}".format(*family.pending, family.num_tests)

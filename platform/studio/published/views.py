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
    claims = shown_claims(Measured(evaluations=roles, benchmark=benchmark, stored=stored))
    pending = [
        (*key, documents.value)
        for documents, found in stored.items()
        for key, one in found.items()
        if one.is_pending
    ]
    context: dict[str, object] = {
        "claims": claims,
        "source": SOURCE,
        "charts": [claims_chart(claims)],
        "pending_query": "run={}&run={}&documents={}".format(*pending[0]) if pending else "",
    }
    return dashboard(request, "published:index", selection, evaluations, context)

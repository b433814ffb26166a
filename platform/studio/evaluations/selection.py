"""Which results a dashboard shows, from its address: `?plan=ID`, or `?run=ID&run=ID`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpRequest

from studio.accounts.access import ProjectRequest
from studio.accounts.models import Project
from studio.evaluations.results import Evaluation, evaluations_of, succeeded, unreadable
from studio.runs.models import Plan, Run

MAX_RESULTS = 12
"""Results on one dashboard; more than this nobody can read off a chart."""
MAX_PLANS = 50
NEWEST = 50
"""Results in a list to choose from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The results, and where they come from."""

    runs: Sequence[Run]
    plans: Sequence[Plan]
    """Plans of the project to choose from, newest first."""
    plan: Plan | None
    """The plan whose results are shown; None for runs chosen one by one and for the newest."""
    is_by_run: bool = False
    """The runs were chosen one by one."""
    num_left_out: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluations:
    """Evaluations in the order asked for, and the runs among them that nobody can read."""

    readable: Sequence[Evaluation]
    unreadable: Sequence[Run]


def select_runs(request: ProjectRequest, kind: str, *, prefers_plan: bool = False) -> Selection:
    """Finished runs of `kind` that the request's query asks for.

    Without a query: those of the plan that the newest of them belongs to, or, if it belongs to
    none, the newest few. With `prefers_plan` results outside plans come up only where no plan has
    any.

    Raises:
        Http404: the query names a run or plan that the project does not have.
    """
    plans = list(
        Plan.objects.filter(project=request.project)
        .only("id", "name", "created_at")
        .order_by("-created_at")[:MAX_PLANS]
    )
    finished = succeeded(request.project, kind)
    if chosen := request.GET.getlist("run"):
        runs = _in_order(finished, _ids(chosen))
        return Selection(
            runs=runs[:MAX_RESULTS],
            plans=plans,
            plan=None,
            is_by_run=True,
            num_left_out=max(0, len(runs) - MAX_RESULTS),
        )
    plan = _chosen_plan(request, plans)
    if plan is None:
        candidates = finished.exclude(plan=None) if prefers_plan else finished
        newest = candidates.values_list("plan", flat=True).first()
        plan = next((one for one in plans if one.pk == newest), None)
    runs = list(finished.filter(plan=plan) if plan else finished[: MAX_RESULTS + 1])
    shown = runs[:MAX_RESULTS]
    # Oldest first: in a plan that is the order of its steps, with the base at the top.
    return Selection(runs=shown[::-1], plans=plans, plan=plan, num_left_out=len(runs) - len(shown))


def chosen_evaluations(request: ProjectRequest) -> Evaluations:
    """The finished evaluations that `?run=ID&run=ID` names, in that order; none without it.

    Raises:
        Http404: the project has no such evaluation with a result.
    """
    ids = _ids(request.GET.getlist("run"))
    return _read(request.project, _in_order(succeeded(request.project, "evaluate"), ids))


def newest_evaluations(project: Project) -> Evaluations:
    """The newest finished evaluations, to choose from."""
    return _read(project, list(succeeded(project, "evaluate")[:NEWEST]))


def _read(project: Project, runs: Sequence[Run]) -> Evaluations:
    readable = evaluations_of(project, runs)
    return Evaluations(readable=readable, unreadable=unreadable(runs, readable))


def _chosen_plan(request: HttpRequest, plans: Sequence[Plan]) -> Plan | None:
    value = request.GET.get("plan", "")
    if not value:
        return None
    plan_id = _ids([value])[0]
    for plan in plans:
        if plan.pk == plan_id:
            return plan
    raise Http404("a plan that is not here")


def _in_order(finished: QuerySet[Run], ids: Sequence[UUID]) -> list[Run]:
    found = {run.pk: run for run in finished.filter(pk__in=ids)} if ids else {}
    if len(found) != len(ids):
        raise Http404("a run that is not here, or has no result")
    return [found[run_id] for run_id in ids]


def _ids(values: Iterable[str]) -> list[UUID]:
    """Ids in the order given, each once."""
    try:
        return list(dict.fromkeys(UUID(value) for value in values))
    except ValueError as exc:
        raise Http404("not an id") from exc

"""Pages of runs and of plans, newest first."""

from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from studio.pages.pagination import PAGE_SIZE, KeysetPage
from studio.runs.kinds import kind_label
from studio.runs.models import Plan, Run
from studio.runs.presentation import Progress, run_duration, run_progress
from studio.runs.states import UNFINISHED_STATES, RunState

RunOrPlan = TypeVar("RunOrPlan", Run, Plan)
UNFINISHED = "unfinished"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRow:
    """A run as a row of a list."""

    run: Run
    kind_label: str
    progress: Progress | None
    duration: str


def run_row(run: Run) -> RunRow:
    """The row of one run; reads nothing that the run does not hold."""
    return RunRow(
        run=run,
        kind_label=kind_label(run.kind),
        progress=run_progress(run),
        duration=run_duration(run),
    )


def in_state(runs: QuerySet[Run], state: str) -> QuerySet[Run]:
    """Runs in one state, or `UNFINISHED` ones; all of them for anything else."""
    if state == UNFINISHED:
        return runs.filter(state__in=UNFINISHED_STATES)
    return runs.filter(state=state) if state in RunState.values else runs


def newest_first(
    queryset: QuerySet[RunOrPlan], *, request: HttpRequest, size: int = PAGE_SIZE
) -> KeysetPage[RunOrPlan]:
    """The page of `queryset` that the request's query asks for, by time of creation.

    Random ids have no order, so the cursor's time is looked up where it is compared: a time that
    went through the address would lose digits. A cursor that names nothing gives an empty page.
    """
    after, before = _cursor(request, "after"), _cursor(request, "before")
    if after is not None:
        newer = queryset.filter(_beyond(queryset, after, "gt"))
        rows = list(newer.order_by("created_at", "pk")[: size + 1])
        has_newer, has_older = len(rows) > size, True
        rows = rows[:size][::-1]
    else:
        if before is not None:
            queryset = queryset.filter(_beyond(queryset, before, "lt"))
        rows = list(queryset.order_by("-created_at", "-pk")[: size + 1])
        has_newer, has_older = before is not None, len(rows) > size
        rows = rows[:size]
    return KeysetPage(
        rows=rows,
        newer_query=_query(request, "after", rows[0].pk) if rows and has_newer else "",
        older_query=_query(request, "before", rows[-1].pk) if rows and has_older else "",
    )


def _beyond(queryset: QuerySet[RunOrPlan], cursor: UUID, comparison: str) -> Q:
    # The same table without annotations: only the time of the cursor's row is needed.
    moment = queryset.model._base_manager.filter(pk=cursor).values("created_at")[:1]
    return Q((f"created_at__{comparison}", moment)) | Q(
        ("created_at", moment), (f"pk__{comparison}", cursor)
    )


def _cursor(request: HttpRequest, name: str) -> UUID | None:
    try:
        return UUID(request.GET.get(name, ""))
    except ValueError:
        return None


def _query(request: HttpRequest, name: str, cursor: UUID) -> str:
    query = request.GET.copy()
    query.pop("before", None)
    query.pop("after", None)
    query[name] = str(cursor)
    return f"?{query.urlencode()}"

"""The workers: what takes runs, how it confines them, and when it was last seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from studio.accounts.access import ProjectRequest, project_required
from studio.accounts.models import Role
from studio.runs.models import Attempt, Run, Worker
from studio.runs.presentation import elapsed_text
from studio.runs.querysets import WORKER_SILENT
from studio.runs.states import LIVE_ATTEMPT_STATES, Isolation


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerRow:
    """A worker as a row of the page."""

    worker: Worker
    is_present: bool
    seen: str
    """Time since it showed itself."""
    is_confining: bool
    run: Run | None
    """What it runs, if the reader may see it."""
    is_busy: bool


@require_safe
@project_required(Role.ENGINEER)
def workers(request: ProjectRequest) -> HttpResponse:
    """Every worker of the installation that was seen in the last days."""
    known = list(Worker.objects.remembered())
    attempts = Attempt.objects.filter(
        worker__in=[worker.owner for worker in known], state__in=LIVE_ATTEMPT_STATES
    ).select_related("run__project")
    running = {attempt.worker: attempt.run for attempt in attempts}
    readable = set(
        Run.objects.for_user(request.user)
        .filter(pk__in=[run.pk for run in running.values()])
        .values_list("pk", flat=True)
    )
    rows = [_row(worker, running, readable) for worker in known]
    return render(request, "runs/workers.html", {"rows": rows})


def _row(worker: Worker, running: Mapping[str, Run], readable: set[UUID]) -> WorkerRow:
    run = running.get(worker.owner)
    return WorkerRow(
        worker=worker,
        is_present=timezone.now() - worker.seen_at < WORKER_SILENT,
        seen=elapsed_text(worker.seen_at, None),
        is_confining=worker.isolation != Isolation.OFF,
        run=run if run is not None and run.pk in readable else None,
        is_busy=run is not None,
    )

"""The parts of a page that change while a run works.

Each is polled (`static/js/poll.js`), costs one query when nothing changed, and answers 304 then.
The page itself shows the same fragments, so it is right without JavaScript too.
"""

import hashlib
from collections.abc import Mapping
from uuid import UUID

from django.db.models import Count, F, FilteredRelation, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe

from studio.accounts.access import ProjectRequest, project_required
from studio.pages.polling import polled
from studio.runs.logs import log_tail
from studio.runs.models import Run, RunEvent
from studio.runs.presentation import event_text, state_reason
from studio.runs.presentation_list import run_row
from studio.runs.presentation_metrics import default_metrics, metrics_chart, run_curves
from studio.runs.querysets import RunQuerySet

LOG_LINES = 200
LOG_BYTES = 64_000
EVENTS_SHOWN = 100
EVENT_KINDS = (
    "RunStarted",
    "CheckpointSaved",
    "ArtifactWritten",
    "Warning",
    "RunSucceeded",
    "RunStopped",
    "RunFailed",
)
"""Worth a line in the list; the others are shown as a bar and as curves."""


def project_runs(request: ProjectRequest) -> RunQuerySet:
    """Runs that the page's project has and its reader may see."""
    return Run.objects.for_user(request.user).filter(project=request.project)


def fragment_response(
    request: HttpRequest, template: str, context: dict[str, object]
) -> HttpResponse:
    """The rendered fragment, or 304 when it is what the browser already shows."""
    content = render_to_string(template, context, request)
    etag = f'"{hashlib.sha256(content.encode()).hexdigest()[:32]}"'
    return _unchanged(request, etag) or HttpResponse(content, headers={"ETag": etag})


@require_safe
@project_required()
def status(request: ProjectRequest, run_id: UUID) -> HttpResponse:
    """State, progress and time left; the page is loaded again when the run has ended."""
    run = get_object_or_404(project_runs(request).defer("spec", "report"), pk=run_id)
    response = fragment_response(request, "runs/_status.html", status_context(run))
    return polled(response, has_ended=run.is_terminal)


@require_safe
@project_required()
def metrics(request: ProjectRequest, run_id: UUID) -> HttpResponse:
    """The chart and its table."""
    run = get_object_or_404(with_num_metrics(project_runs(request)), pk=run_id)
    chosen = request.GET.getlist("metric")
    # Both are annotations of `with_num_metrics`, which the model's type does not have.
    etag = f'"{run.num_metrics}-{run.newest_metrics or 0}"'  # type: ignore[attr-defined]
    return _unchanged(request, etag) or HttpResponse(
        render_to_string("runs/_metrics.html", metrics_context(run, chosen), request),
        headers={"ETag": etag},
    )


@require_safe
@project_required()
def events(request: ProjectRequest, run_id: UUID) -> HttpResponse:
    """The events behind the cursor `after`, which is `attempt.seq`; 204 when there are none."""
    attempt, seq = _cursor(request.GET.get("after", ""))
    behind = Q(events__attempt__gt=attempt) | Q(events__attempt=attempt, events__seq__gt=seq)
    loud = Q(events__kind__in=EVENT_KINDS)
    # A left join: a run without new events still gives its row, a foreign run gives none.
    rows = (
        project_runs(request)
        .filter(pk=run_id)
        .annotate(new=FilteredRelation("events", condition=behind & loud))
        .order_by("new__attempt", "new__seq")
        .values_list(*(F(f"new__{name}") for name in ("attempt", "seq", "at", "kind", "payload")))
    )
    found = list(rows[:EVENTS_SHOWN])
    if not found:
        raise Http404(f"no run {run_id} in {request.project}")
    new = [
        RunEvent(attempt=attempt, seq=seq, at=at, kind=kind, payload=payload)
        for attempt, seq, at, kind, payload in found
        if attempt is not None
    ]
    if not new:
        return HttpResponse(status=204)
    context = events_context(new)
    content = render_to_string("runs/_events.html", context, request)
    return HttpResponse(content, headers={"X-Next-Cursor": context["events_cursor"]})


@require_safe
@project_required()
def log(request: ProjectRequest, run_id: UUID) -> HttpResponse:
    """The end of what the attempt wrote to stderr."""
    run = get_object_or_404(project_runs(request).only("attempt", "state"), pk=run_id)
    return fragment_response(request, "runs/_log.html", log_context(run, request.GET))


def status_context(run: Run) -> dict[str, object]:
    """What `_status.html` shows."""
    return {"row": run_row(run), "reason": state_reason(run)}


def metrics_context(run: Run, chosen: list[str]) -> dict[str, object]:
    """What `_metrics.html` shows; `run` comes from `with_num_metrics`."""
    num_events: int = run.num_metrics  # type: ignore[attr-defined]  # an annotation
    curves = run_curves(run, num_events=num_events) if num_events else {}
    names = [name for name in chosen if name in curves] or default_metrics(list(curves))
    return {
        "chart": metrics_chart(curves, names, is_terminal=run.is_terminal),
        "metric_names": list(curves),
        "chosen_metrics": names,
    }


def with_num_metrics(runs: QuerySet[Run]) -> QuerySet[Run]:
    """With `num_metrics` and `newest_metrics`, the id of the newest MetricsLogged event."""
    # Subqueries: a join would group by every column of the run, its report among them.
    logged = RunEvent.objects.filter(run=OuterRef("pk"), kind="MetricsLogged")
    number = logged.order_by().values("run").annotate(number=Count("pk")).values("number")
    return runs.annotate(
        num_metrics=Coalesce(Subquery(number), 0),
        newest_metrics=Subquery(logged.order_by("-attempt", "-seq").values("pk")[:1]),
    )


def newest_events(run: Run) -> list[RunEvent]:
    """The last events worth a line, oldest first."""
    loud = RunEvent.objects.filter(run=run, kind__in=EVENT_KINDS)
    return list(loud.order_by("-attempt", "-seq")[:EVENTS_SHOWN])[::-1]


def events_context(found: list[RunEvent]) -> dict[str, object]:
    """What `_events.html` shows, and the cursor behind it."""
    last = found[-1] if found else None
    return {
        "events": [(event, event_text(event)) for event in found],
        "events_cursor": f"{last.attempt}.{last.seq}" if last else "0.0",
    }


def log_context(run: Run, query: Mapping[str, str]) -> dict[str, object]:
    """What `_log.html` shows: the attempt the query names, else the newest."""
    wanted = query.get("attempt", "")
    number = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 7 else 0
    attempt = number if 1 <= number <= run.attempt else run.attempt
    return {"log_text": "\n".join(log_lines(run.pk, attempt)), "log_attempt": attempt, "run": run}


def log_lines(run_id: UUID, attempt: int) -> list[str]:
    """The last lines, as people can read them."""
    lines = log_tail(run_id, attempt, max_bytes=LOG_BYTES).split("\n")
    return (lines[:-1] if not lines[-1] else lines)[-LOG_LINES:]


def _unchanged(request: HttpRequest, etag: str) -> HttpResponse | None:
    if request.headers.get("If-None-Match") != etag:
        return None
    return HttpResponse(status=304, headers={"ETag": etag})


def _cursor(text: str) -> tuple[int, int]:
    attempt, _dot, seq = text.partition(".")
    is_cursor = all(part.isascii() and part.isdigit() and len(part) < 10 for part in (attempt, seq))
    return (int(attempt), int(seq)) if is_cursor else (0, 0)

"""Runs: the list, the page of one run, and what may be done to it."""

import json
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from pipeline.errors import PipelineError
from studio.accounts.access import ProjectRequest, project_required
from studio.accounts.models import Role
from studio.pages.forms import KeyForm, new_key
from studio.pages.security import charts_page
from studio.runs import live, services
from studio.runs.kinds import KINDS, kind_label
from studio.runs.models import Plan, Run
from studio.runs.presentation import elapsed_text
from studio.runs.presentation_list import UNFINISHED, in_state, newest_first, run_row
from studio.runs.presentation_report import (
    document_changes,
    document_rows,
    output_rows,
    result_rows,
)
from studio.runs.querysets import PlanQuerySet
from studio.runs.reports import output_pages, run_report
from studio.runs.states import RunState

PLANS_ON_INDEX = 5


@require_safe
@project_required()
def index(request: ProjectRequest) -> HttpResponse:
    """Runs of the project, newest first, below the newest plans."""
    runs = in_state(live.project_runs(request).for_list(), request.GET.get("state", ""))
    kind = request.GET.get("kind", "")
    if kind in KINDS:
        runs = runs.filter(kind=kind)
    page = newest_first(runs, request=request)
    context = {"page": page, "rows": [run_row(run) for run in page.rows]}
    if request.headers.get("X-Requested-With") == "poll":
        return live.fragment_response(request, "runs/_table.html", context)
    context |= {
        "plans": newest_plans(request)[:PLANS_ON_INDEX] if not request.GET else [],
        "kinds": [(kind.name, kind.label) for kind in KINDS.values()],
        "states": [(UNFINISHED, _("Not ended")), *RunState.choices],
        "chosen_state": request.GET.get("state", ""),
        "chosen_kind": kind,
        "is_live": any(not run.is_terminal for run in page.rows),
        "can_launch": can_launch(request),
    }
    return render(request, "runs/index.html", context)


@require_safe
@charts_page
@project_required()
def detail(request: ProjectRequest, run_id: UUID) -> HttpResponse:
    """Everything about one run; what changes while it works is polled."""
    run = get_object_or_404(
        live.with_num_metrics(live.project_runs(request)).select_related(
            "created_by",
            "cancel_requested_by",
            "plan",
            "continues",
            "continued_by",
            "cloned_from",
        ),
        pk=run_id,
    )
    template = run.cloned_from or run.continues
    report = run_report(run)
    context = {
        "run": run,
        "kind": kind_label(run.kind),
        **live.status_context(run),
        **live.metrics_context(run, request.GET.getlist("metric")),
        **live.events_context(live.newest_events(run)),
        **live.log_context(run, request.GET),
        "attempts": [
            (attempt, elapsed_text(attempt.started_at, attempt.ended_at))
            for attempt in run.attempts.all()
        ],
        "spec_rows": document_rows(run.spec),
        "spec_json": json.dumps(run.spec, indent=2, ensure_ascii=False),
        "spec_changes": document_changes(template.spec, run.spec) if template else [],
        "template": template,
        "has_unreadable_report": run.report is not None and report is None,
        "figures": result_rows(report) if report else [],
        "environment": document_rows(report.environment) if report else [],
        "outputs": output_rows(report, output_pages(run, report)) if report else [],
        "can_act": can_launch(request),
        "can_edit": KINDS[run.kind].is_offered and run.state != RunState.WAITING,
        "clone_key": new_key(),
    }
    return render(request, "runs/detail.html", context)


@require_POST
@project_required(Role.ENGINEER)
def cancel(request: ProjectRequest, run_id: UUID) -> HttpResponse:
    """The run is cancelled, or is being asked to stop."""
    run = services.run_cancel(run=_run(request, run_id), actor=request.user)
    if run.state == RunState.CANCELLING:
        messages.info(request, _("The run saves a checkpoint and stops."))
    return redirect("runs:detail", request.project.slug, run.pk)


@require_POST
@project_required(Role.ENGINEER)
def resume(request: ProjectRequest, run_id: UUID) -> HttpResponse:
    """A new run continues this one from its newest checkpoint."""
    run = _run(request, run_id)
    try:
        run = services.run_resume(run=run, actor=request.user)
    except PipelineError as error:
        messages.error(request, str(error))
    return redirect("runs:detail", request.project.slug, run.pk)


@require_POST
@project_required(Role.ENGINEER)
def clone(request: ProjectRequest, run_id: UUID) -> HttpResponse:
    """A new run with the same spec starts from nothing."""
    run = _run(request, run_id)
    form = KeyForm(request.POST)
    if not form.is_valid():
        raise BadRequest("a key that no page sends")
    key = form.cleaned_data["idempotency_key"]
    try:
        run = services.run_clone(run=run, actor=request.user, idempotency_key=key)
    except PipelineError as error:
        messages.error(request, str(error))
    return redirect("runs:detail", request.project.slug, run.pk)


def can_launch(request: ProjectRequest) -> bool:
    """Whether the reader may start and stop runs."""
    return request.role in (Role.ENGINEER, Role.ADMIN)


def newest_plans(request: ProjectRequest) -> PlanQuerySet:
    """The project's plans with their progress, newest first."""
    plans = Plan.objects.for_user(request.user).filter(project=request.project)
    return plans.with_progress().defer("spec").select_related("created_by").order_by("-created_at")


def _run(request: ProjectRequest, run_id: UUID) -> Run:
    return get_object_or_404(live.project_runs(request).select_related("project"), pk=run_id)

"""Plans: the list, the page of one plan, and what may be done to it."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from pipeline.errors import PipelineError
from studio.accounts.access import ProjectRequest, project_required
from studio.accounts.models import Role
from studio.pages.polling import polled
from studio.runs import live, services
from studio.runs.models import Plan, Run
from studio.runs.presentation_list import newest_first
from studio.runs.presentation_plan import plan_steps
from studio.runs.views import can_launch, newest_plans


@require_safe
@project_required()
def plans(request: ProjectRequest) -> HttpResponse:
    """The project's plans, newest first."""
    page = newest_first(newest_plans(request), request=request)
    return render(request, "runs/plans.html", {"page": page, "can_launch": can_launch(request)})


@require_safe
@project_required()
def plan(request: ProjectRequest, plan_id: UUID) -> HttpResponse:
    """The steps of a plan in order, with what each waits for."""
    plans = Plan.objects.for_user(request.user).filter(project=request.project)
    found = get_object_or_404(plans.with_progress().select_related("created_by"), pk=plan_id)
    runs = Run.objects.filter(plan=found).current_steps().defer("spec", "report")
    context = {
        "plan": found,
        "steps": plan_steps(found, runs),
        "can_act": can_launch(request),
        # Annotations of `with_progress`, which the model's type does not have.
        "is_resumable": found.num_failed + found.num_cancelled > 0,  # type: ignore[attr-defined]
    }
    return render(request, "runs/plan.html", context)


@require_safe
@project_required()
def plan_status(request: ProjectRequest, plan_id: UUID) -> HttpResponse:
    """The table of steps; the page is loaded again when the plan has ended."""
    runs = list(
        live.project_runs(request)
        .filter(plan=plan_id)
        .current_steps()
        .defer("spec", "report")
        .select_related("plan")
    )
    plan_of_runs = runs[0].plan if runs else None
    if plan_of_runs is None:
        raise Http404(f"no plan {plan_id} in {request.project}")
    steps = plan_steps(plan_of_runs, runs)
    response = live.fragment_response(request, "runs/_steps.html", {"steps": steps})
    return polled(response, has_ended=all(run.is_terminal for run in runs))


@require_POST
@project_required(Role.ENGINEER)
def plan_cancel(request: ProjectRequest, plan_id: UUID) -> HttpResponse:
    """No further step starts; running ones save and stop."""
    found = _plan(request, plan_id)
    services.plan_cancel(plan=found, actor=request.user)
    messages.info(request, _("No further step will start; running ones save and stop."))
    return redirect("runs:plan", request.project.slug, found.pk)


@require_POST
@project_required(Role.ENGINEER)
def plan_restart(request: ProjectRequest, plan_id: UUID) -> HttpResponse:
    """Steps that failed or were cancelled go on; results are kept."""
    found = _plan(request, plan_id)
    try:
        services.plan_restart(plan=found, actor=request.user)
    except PipelineError as error:
        messages.error(request, str(error))
    return redirect("runs:plan", request.project.slug, found.pk)


def _plan(request: ProjectRequest, plan_id: UUID) -> Plan:
    plans = Plan.objects.for_user(request.user).filter(project=request.project)
    return get_object_or_404(plans, pk=plan_id)

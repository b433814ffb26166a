"""The first pages: one's projects, and what waits in a project."""

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from studio.accounts.access import ProjectRequest, UserRequest, project_required
from studio.accounts.models import Project
from studio.evaluations.recent_checkpoints import recent_checkpoints
from studio.home.attention import attention_rows
from studio.measures.labels import headline_measures


@require_safe
def projects(request: UserRequest) -> HttpResponse:
    """The sender's projects; straight to the only one if there is one."""
    mine = list(Project.objects.for_user(request.user).order_by("name"))
    if len(mine) == 1 and not request.user.is_superuser:
        return redirect("home:index", mine[0].slug)
    return render(request, "home/projects.html", {"projects": mine})


@require_safe
@project_required()
def index(request: ProjectRequest) -> HttpResponse:
    """What waits for the sender in the project, and its newest checkpoints."""
    context = {
        "attention": attention_rows(request.project, request.role),
        "checkpoints": recent_checkpoints(request.project),
        "headlines": headline_measures(),
    }
    return render(request, "home/index.html", context)

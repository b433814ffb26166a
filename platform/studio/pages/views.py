"""Home pages and the preferences that every visitor has."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from studio.accounts.access import ProjectRequest, UserRequest, project_required
from studio.accounts.attention import attention_rows as accounts_rows
from studio.accounts.models import Project
from studio.accounts.preferences import remember_preferences
from studio.datasets.attention import attention_rows as datasets_rows
from studio.evaluations.recent_checkpoints import recent_checkpoints
from studio.pages.attention import AttentionSource
from studio.runs.attention import attention_rows as runs_rows

SOURCES: tuple[AttentionSource, ...] = (runs_rows, datasets_rows, accounts_rows)


@require_safe
def projects(request: UserRequest) -> HttpResponse:
    """The sender's projects; straight to the only one if there is one."""
    mine = list(Project.objects.for_user(request.user).order_by("name"))
    if len(mine) == 1 and not request.user.is_superuser:
        return redirect("pages:home", mine[0].slug)
    return render(request, "pages/projects.html", {"projects": mine})


@require_safe
@project_required()
def home(request: ProjectRequest) -> HttpResponse:
    """What waits for the sender in the project, and its newest checkpoints."""
    rows = [
        row
        for source in SOURCES
        for row in source(request.project, request.user, request.role)
        if row.count
    ]
    context = {"attention": rows, "checkpoints": recent_checkpoints(request.project)}
    return render(request, "pages/home.html", context)


@require_POST
@login_not_required
def preferences(request: HttpRequest) -> HttpResponse:
    """Language and theme are kept: in a cookie, and with the account of who is signed in.

    A script that has already shown the change gets no page; a form gets the one it came from.
    """
    is_script = request.headers.get("X-Requested-With") == "fetch"
    response = HttpResponse(status=204) if is_script else redirect(_next_page(request))
    changed = remember_preferences(
        response,
        language=request.POST.get("language", ""),
        theme=request.POST.get("theme", ""),
    )
    if request.user.is_authenticated and changed:
        for name in changed:
            setattr(request.user, name, request.POST[name])
        request.user.save(update_fields=changed)
    return response


def _next_page(request: HttpRequest) -> str:
    target = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if is_ours else "/"

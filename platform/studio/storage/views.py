"""The page Disk: what could be freed, by project and run, and the button that does it."""

from collections.abc import Iterable

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from studio.accounts.access import (
    ProjectRequest,
    SiteAdminRequiredError,
    UserRequest,
    project_required,
)
from studio.accounts.models import Project, Role
from studio.runs.disk import room
from studio.storage.presentation import storage_rows
from studio.storage.sweeping import Found, limits_now, look, sweep

MAX_ROWS = 200


@require_safe
@project_required(Role.ADMIN)
def index(request: ProjectRequest) -> HttpResponse:
    """What the project could do without."""
    return _page(request, request.project)


@require_POST
@project_required(Role.ADMIN)
def free(request: ProjectRequest) -> HttpResponse:
    """What the project can do without is gone."""
    _say(request, sweep(limits_now(), actor=request.user, project=request.project))
    return redirect("storage:index", request.project.slug)


@require_safe
def site(request: UserRequest) -> HttpResponse:
    """What all projects could do without; for the installation's administrators."""
    _require_site_admin(request)
    return _page(request, None)


@require_POST
def site_free(request: UserRequest) -> HttpResponse:
    """What all projects can do without is gone."""
    _require_site_admin(request)
    _say(request, sweep(limits_now(), actor=request.user))
    return redirect("storage:site")


def _page(request: UserRequest, project: Project | None) -> HttpResponse:
    found = look(limits_now(), project=project)
    rows = storage_rows(found)
    context = {
        "rows": rows[:MAX_ROWS],
        "num_hidden": max(0, len(rows) - MAX_ROWS),
        "num_bytes": _num_bytes(found),
        "num_found": len(found),
        "room": room(),
        "is_asking": "confirm" in request.GET,
    }
    return render(request, "storage/index.html", context)


def _say(request: UserRequest, removed: list[Found]) -> None:
    if not removed:
        messages.info(request, _("Nothing was removed: nothing is left that nobody needs."))
        return
    text = ngettext(
        "%(count)d item was removed, %(size)s are free again.",
        "%(count)d items were removed, %(size)s are free again.",
        len(removed),
    )
    size = filesizeformat(_num_bytes(removed))
    messages.success(request, text % {"count": len(removed), "size": size})


def _num_bytes(found: Iterable[Found]) -> int:
    return sum(one.num_bytes for one in found)


def _require_site_admin(request: UserRequest) -> None:
    if not request.user.is_superuser:
        raise SiteAdminRequiredError

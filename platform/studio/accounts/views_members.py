"""Members of a project, its audit log, and new projects."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from studio.accounts import services
from studio.accounts.access import (
    ProjectRequest,
    SiteAdminRequiredError,
    UserRequest,
    project_required,
)
from studio.accounts.forms import InviteForm, ProjectForm, RoleForm
from studio.accounts.models import AuditEvent, Membership, OneTimeLink, Role, User
from studio.pages.pagination import keyset_page


@require_safe
@project_required()
def members(request: ProjectRequest) -> HttpResponse:
    """Everybody in the project; administrators also see invitations and what they can change."""
    return _members_page(request, InviteForm())


@require_POST
@project_required(Role.ADMIN)
def invite_create(request: ProjectRequest) -> HttpResponse:
    """The members page shows the new link once."""
    form = InviteForm(request.POST)
    if not form.is_valid():
        return _members_page(request, form, status=400)
    token = services.invite_create(
        actor=request.user,
        project=request.project,
        role=Role(form.cleaned_data["role"]),
        note=form.cleaned_data["note"],
    )
    return _members_page(request, InviteForm(), new_link=_address(request, "invite", token))


@require_POST
@project_required(Role.ADMIN)
def invite_revoke(request: ProjectRequest, link_id: int) -> HttpResponse:
    link = get_object_or_404(_open_invitations(request), pk=link_id)
    try:
        services.invite_revoke(actor=request.user, link=link)
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        messages.success(request, _("The invitation link no longer works."))
    return redirect("accounts:members", request.project.slug)


@require_POST
@project_required(Role.ADMIN)
def set_role(request: ProjectRequest, membership_id: int) -> HttpResponse:
    membership = _membership(request, membership_id)
    form = RoleForm(request.POST)
    if form.is_valid():
        try:
            services.membership_set_role(
                actor=request.user, membership=membership, role=Role(form.cleaned_data["role"])
            )
        except ValidationError as error:
            messages.error(request, error.messages[0])
    return redirect("accounts:members", request.project.slug)


@require_POST
@project_required(Role.ADMIN)
def remove(request: ProjectRequest, membership_id: int) -> HttpResponse:
    membership = _membership(request, membership_id)
    try:
        services.membership_remove(actor=request.user, membership=membership)
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        messages.success(
            request,
            _("%(user)s is no longer a member.") % {"user": membership.user.username},
        )
    return redirect("accounts:members", request.project.slug)


@require_POST
@project_required(Role.ADMIN)
def disable(request: ProjectRequest, membership_id: int) -> HttpResponse:
    user = _membership(request, membership_id).user
    services.user_disable(actor=request.user, user=user, project=request.project)
    messages.success(request, _("%(user)s cannot sign in any more.") % {"user": user.username})
    return redirect("accounts:members", request.project.slug)


@require_POST
@project_required(Role.ADMIN)
def enable(request: ProjectRequest, membership_id: int) -> HttpResponse:
    user = _membership(request, membership_id).user
    services.user_enable(actor=request.user, user=user, project=request.project)
    messages.success(request, _("%(user)s can sign in again.") % {"user": user.username})
    return redirect("accounts:members", request.project.slug)


@require_POST
@project_required(Role.ADMIN)
def reset_create(request: ProjectRequest, membership_id: int) -> HttpResponse:
    """The members page shows the reset link once."""
    user = _membership(request, membership_id).user
    token = services.password_reset_create(actor=request.user, user=user, project=request.project)
    return _members_page(
        request, InviteForm(), new_link=_address(request, "reset", token), new_link_user=user
    )


@require_safe
@project_required(Role.ADMIN)
def audit(request: ProjectRequest) -> HttpResponse:
    """What was done in the project, newest first."""
    events = AuditEvent.objects.for_user(request.user).filter(project=request.project)
    page = keyset_page(events, request=request)
    return render(request, "accounts/audit.html", {"page": page})


@require_safe
def site_audit(request: UserRequest) -> HttpResponse:
    """What was done anywhere, sign-ins included; for the installation's administrators."""
    if not request.user.is_superuser:
        raise SiteAdminRequiredError
    page = keyset_page(
        AuditEvent.objects.for_user(request.user).select_related("project"), request=request
    )
    return render(request, "accounts/audit.html", {"page": page})


@require_http_methods(["GET", "POST"])
def project_create(request: UserRequest) -> HttpResponse:
    if not request.user.is_superuser:
        raise SiteAdminRequiredError
    form = ProjectForm(_posted(request))
    if request.method == "POST" and form.is_valid():
        project = services.project_create(
            actor=request.user,
            slug=form.cleaned_data["slug"],
            name=form.cleaned_data["name"],
        )
        return redirect("home:index", project.slug)
    return render(
        request,
        "accounts/project_create.html",
        {"form": form},
        status=400 if form.errors else 200,
    )


def _members_page(
    request: ProjectRequest,
    invite_form: InviteForm,
    *,
    new_link: str = "",
    new_link_user: User | None = None,
    status: int = 200,
) -> HttpResponse:
    is_admin = request.role == Role.ADMIN
    managed = User.objects.managed_by(request.user).filter(memberships__project=request.project)
    context = {
        "memberships": request.project.memberships.select_related("user").order_by(
            "user__username"
        ),
        "roles": Role.choices,
        "is_admin": is_admin,
        "managed_ids": set(managed.values_list("pk", flat=True)) if is_admin else set(),
        "invitations": _open_invitations(request) if is_admin else [],
        "invite_form": invite_form,
        "new_link": new_link,
        "new_link_user": new_link_user,
    }
    return render(request, "accounts/members.html", context, status=status)


def _open_invitations(request: ProjectRequest) -> QuerySet[OneTimeLink]:
    invitations = OneTimeLink.objects.open().filter(purpose=OneTimeLink.Purpose.INVITE)
    return invitations.filter(project=request.project).order_by("-pk")


def _membership(request: ProjectRequest, membership_id: int) -> Membership:
    memberships = Membership.objects.for_user(request.user).select_related("user", "project")
    return get_object_or_404(memberships, project=request.project, pk=membership_id)


def _address(request: ProjectRequest, page: str, token: str) -> str:
    return request.build_absolute_uri(reverse(f"accounts:{page}", args=[token]))


def _posted(request: HttpRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None

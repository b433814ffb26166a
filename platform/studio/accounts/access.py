"""Who may open a page of a project.

    @project_required()                              any member
    @project_required(Role.ENGINEER, Role.ADMIN)     only these roles

The URL carries the project's slug as `project`; the decorator takes it out of the arguments and
sets `request.project` and `request.role`. People outside the project get 404, as if it did not
exist; members whose role is not enough get a 403 page that names the roles that are.
"""

from collections.abc import Callable
from functools import wraps

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404

from studio.accounts.models import Membership, Project, Role, User

View = Callable[..., HttpResponseBase]


class UserRequest(HttpRequest):
    """A request whose sender is signed in; the middleware has turned everybody else away."""

    user: User


class ProjectRequest(UserRequest):
    """A request for a page of `project` by a member who acts as `role`."""

    project: Project
    role: Role


class RoleRequiredError(PermissionDenied):
    """The member's role does not allow the page; one of `roles` does."""

    def __init__(self, roles: tuple[Role, ...]) -> None:
        super().__init__(f"needs one of the roles {', '.join(roles)}")
        self.roles = roles


class SiteAdminRequiredError(PermissionDenied):
    """Only the installation's administrators may open the page."""


def project_required(*roles: Role) -> Callable[[View], View]:
    """The view runs only for members of the URL's project who act as one of `roles`.

    Administrators may open every page of their project. Without `roles` any member may.

    Raises:
        Http404: there is no such project, or the sender is not a member.
        RoleRequiredError: the sender is a member but acts as another role.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(
            request: ProjectRequest, project: str, *args: object, **kwargs: object
        ) -> HttpResponseBase:
            request.project, request.role = project_and_role(user=request.user, slug=project)
            if roles and request.role not in (*roles, Role.ADMIN):
                raise RoleRequiredError(roles)
            return view(request, *args, **kwargs)

        return checked

    return decorate


def project_and_role(*, user: User, slug: str) -> tuple[Project, Role]:
    """The project called `slug` and what `user` is in it.

    Raises:
        Http404: there is no such project, or `user` is not a member.
    """
    if user.is_superuser:
        return get_object_or_404(Project, slug=slug), Role.ADMIN
    membership = (
        Membership.objects.select_related("project").filter(user=user, project__slug=slug).first()
    )
    if membership is None:
        raise Http404(f"no project {slug!r} for {user}")
    return membership.project, Role(membership.role)

"""Who may bring data into a project, and act on what somebody brought."""

from studio.accounts.access import ProjectRequest, RoleRequiredError
from studio.accounts.models import Role, User
from studio.runs.kinds import KINDS

UPLOADERS = KINDS["import_dataset"].starters


def may_upload(request: ProjectRequest) -> bool:
    """The sender's role brings data into the project."""
    return request.role in (*UPLOADERS, Role.ADMIN)


def may_change(request: ProjectRequest, author: User) -> bool:
    """The sender may act on what `author` brought: it is their own, or they administer."""
    return request.role == Role.ADMIN or (may_upload(request) and author == request.user)


def refuse_others(request: ProjectRequest, author: User) -> None:
    """Only who `may_change` goes on.

    Raises:
        RoleRequiredError: somebody else's, and the sender does not administer the project.
    """
    if not may_change(request, author):
        raise RoleRequiredError((Role.ADMIN,))

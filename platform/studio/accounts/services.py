"""Changes to projects, memberships and accounts. Each writes its own audit line."""

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from studio.accounts.audit import audit_record
from studio.accounts.links import link_create, link_use
from studio.accounts.models import Membership, OneTimeLink, Project, Role, User


@transaction.atomic
def user_create_admin(*, username: str, password: str, language: str = "") -> User:
    """An administrator of the whole installation exists.

    Raises:
        ValidationError: the password is too weak.
    """
    user = _user_create(username=username, password=password, language=language)
    user.is_superuser = True
    user.save(update_fields=["is_superuser"])
    audit_record(actor=user, action="user.create_admin", target=user)
    return user


def setup_token_create() -> str:
    """A token for `/setup/<token>/`, valid for 30 minutes; earlier ones no longer work.

    Raises:
        ValidationError: there is an administrator already.
    """
    with transaction.atomic():
        if User.objects.filter(is_superuser=True, is_active=True).exists():
            raise ValidationError(_("There is an administrator already."), code="setup_done")
        OneTimeLink.objects.filter(purpose=OneTimeLink.Purpose.SETUP).delete()
        _link, token = link_create(purpose=OneTimeLink.Purpose.SETUP)
    return token


@transaction.atomic
def setup_use(*, link: OneTimeLink, username: str, password: str, language: str = "") -> User:
    """The first administrator exists and the set-up link is spent.

    Raises:
        ValidationError: the link was used a moment ago, or the password is too weak.
    """
    link_use(link=link)
    return user_create_admin(username=username, password=password, language=language)


@transaction.atomic
def project_create(*, actor: User, slug: str, name: str) -> Project:
    """A project exists and `actor` administers it.

    Raises:
        PermissionDenied: `actor` does not administer the installation.
    """
    if not actor.is_superuser:
        raise PermissionDenied("only the installation's administrators create projects")
    project = Project.objects.create(slug=slug, name=name)
    Membership.objects.create(project=project, user=actor, role=Role.ADMIN)
    audit_record(actor=actor, action="project.create", target=project)
    return project


@transaction.atomic
def invite_create(*, actor: User, project: Project, role: Role, note: str = "") -> str:
    """Whoever opens `/invite/<token>/` within a week may join `project` as `role`, once."""
    link, token = link_create(
        purpose=OneTimeLink.Purpose.INVITE,
        created_by=actor,
        project=project,
        role=role,
        note=note,
    )
    audit_record(
        actor=actor,
        action="membership.invite",
        target=link,
        details={"role": role, "note": note},
    )
    return token


@transaction.atomic
def invite_revoke(*, actor: User, link: OneTimeLink) -> None:
    """The invitation no longer works."""
    link_use(link=link)
    audit_record(actor=actor, action="membership.revoke_invite", target=link)


@transaction.atomic
def invite_accept(*, link: OneTimeLink, user: User) -> Membership:
    """`user` is a member of the invitation's project; a role they already have stays.

    Raises:
        ValidationError: the link was used a moment ago.
    """
    link_use(link=link)
    membership, is_new = Membership.objects.get_or_create(
        project=link.project, user=user, defaults={"role": link.role}
    )
    if is_new:
        audit_record(
            actor=user,
            action="membership.join",
            target=membership,
            details={"role": membership.role},
        )
    return membership


@transaction.atomic
def invite_accept_new(
    *, link: OneTimeLink, username: str, password: str, language: str = ""
) -> User:
    """A new account exists and is a member of the invitation's project.

    Raises:
        ValidationError: the link was used a moment ago, or the password is too weak.
    """
    user = _user_create(username=username, password=password, language=language)
    invite_accept(link=link, user=user)
    return user


@transaction.atomic
def membership_create(*, actor: User, project: Project, user: User, role: Role) -> Membership:
    """`user` is a member of `project`, without an invitation."""
    membership = Membership.objects.create(project=project, user=user, role=role)
    audit_record(actor=actor, action="membership.add", target=membership, details={"role": role})
    return membership


@transaction.atomic
def membership_set_role(*, actor: User, membership: Membership, role: Role) -> None:
    """The member acts as `role` from their next request on.

    Raises:
        ValidationError: the project would be left without an administrator.
    """
    if membership.role == role:
        return
    _refuse_to_lose_last_admin(membership)
    before, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    audit_record(
        actor=actor,
        action="membership.set_role",
        target=membership,
        details={"before": before, "after": role},
    )


@transaction.atomic
def membership_remove(*, actor: User, membership: Membership) -> None:
    """The person is no longer a member; what they made stays.

    Raises:
        ValidationError: the project would be left without an administrator.
    """
    _refuse_to_lose_last_admin(membership)
    audit_record(
        actor=actor,
        action="membership.remove",
        target=membership,
        details={"role": membership.role},
    )
    membership.delete()


@transaction.atomic
def user_disable(*, actor: User, user: User, project: Project | None = None) -> None:
    """`user` cannot sign in, and every session they have ends with its next request.

    Raises:
        PermissionDenied: `user` is not among `User.objects.managed_by(actor)`.
    """
    _require_managed(user=user, actor=actor)
    user.is_active = False
    user.save(update_fields=["is_active"])
    audit_record(actor=actor, action="user.disable", target=user, project=project)


@transaction.atomic
def user_enable(*, actor: User, user: User, project: Project | None = None) -> None:
    """`user` can sign in again.

    Raises:
        PermissionDenied: `user` is not among `User.objects.managed_by(actor)`.
    """
    _require_managed(user=user, actor=actor)
    user.is_active = True
    user.save(update_fields=["is_active"])
    audit_record(actor=actor, action="user.enable", target=user, project=project)


@transaction.atomic
def password_reset_create(*, actor: User, user: User, project: Project | None = None) -> str:
    """Whoever opens `/reset/<token>/` within a day may set the password of `user`, once.

    Raises:
        PermissionDenied: `user` is not among `User.objects.managed_by(actor)`.
    """
    _require_managed(user=user, actor=actor)
    OneTimeLink.objects.filter(
        purpose=OneTimeLink.Purpose.PASSWORD_RESET, user=user, used_at=None
    ).delete()
    _link, token = link_create(
        purpose=OneTimeLink.Purpose.PASSWORD_RESET, created_by=actor, user=user
    )
    audit_record(actor=actor, action="user.request_reset", target=user, project=project)
    return token


@transaction.atomic
def password_reset_use(*, link: OneTimeLink, password: str) -> User:
    """The user of the link has the new password, and their other sessions have ended.

    Raises:
        ValidationError: the link was used a moment ago, or the password is too weak.
    """
    link_use(link=link)
    if link.user is None:
        raise ValueError(f"{link} belongs to no user")
    user_set_password(user=link.user, password=password, action="user.reset_password")
    return link.user


@transaction.atomic
def user_set_password(*, user: User, password: str, action: str = "user.change_password") -> None:
    """`user` has the new password, and their other sessions have ended.

    Raises:
        ValidationError: the password is too weak.
    """
    validate_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])
    audit_record(actor=user, action=action, target=user)


def _require_managed(*, user: User, actor: User) -> None:
    if not User.objects.managed_by(actor).filter(pk=user.pk).exists():
        raise PermissionDenied(f"{actor} does not administer every project of {user}")


def _user_create(*, username: str, password: str, language: str) -> User:
    user = User(username=username, language=language)
    validate_password(password, user)
    user.set_password(password)
    user.save()
    return user


def _refuse_to_lose_last_admin(membership: Membership) -> None:
    is_admin = membership.role == Role.ADMIN
    others = Membership.objects.filter(project=membership.project, role=Role.ADMIN)
    if is_admin and not others.exclude(pk=membership.pk).exists():
        raise ValidationError(
            _("%(user)s is the only administrator of %(project)s: name another one first.")
            % {"user": membership.user.username, "project": membership.project.name},
            code="last_admin",
        )

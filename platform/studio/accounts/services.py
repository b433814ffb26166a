"""Changes to projects, memberships and accounts. Each writes its own audit line."""

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from studio.accounts.audit import audit_record
from studio.accounts.links import link_create, link_end, link_use
from studio.accounts.models import Membership, OneTimeLink, Project, Role, User
from studio.accounts.rights import accounts_lock, keys_end, rights_review, role_in


@transaction.atomic
def user_create_admin(*, username: str, password: str, language: str = "") -> User:
    """An administrator of the whole installation exists.

    Raises:
        ValidationError: the password is too weak.
    """
    user = _user_create(username=username, password=password, language=language)
    user.is_superuser = True
    user.save(update_fields=["is_superuser"])
    OneTimeLink.objects.filter(purpose=OneTimeLink.Purpose.SETUP).end()
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
        OneTimeLink.objects.filter(purpose=OneTimeLink.Purpose.SETUP).end()
        _link, token = link_create(purpose=OneTimeLink.Purpose.SETUP)
    return token


@transaction.atomic
def setup_use(*, link: OneTimeLink, username: str, password: str, language: str = "") -> User:
    """The first administrator exists and the set-up link is spent.

    Raises:
        ValidationError: the link does not work any more, or the password is too weak.
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
    """Whoever opens `/invite/<token>/` within a week may join `project` as `role`, once.

    Only while `actor` administers the project.

    Raises:
        PermissionDenied: `actor` does not administer the project.
    """
    _require_admin(actor, project)
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
    """The invitation no longer works.

    Raises:
        ValidationError: it was used a moment ago.
    """
    link_end(link=link)
    audit_record(actor=actor, action="membership.revoke_invite", target=link)


@transaction.atomic
def invite_accept(*, link: OneTimeLink, user: User) -> Membership:
    """`user` is a member of the invitation's project; a role they already have stays.

    Raises:
        ValidationError: the link does not work any more.
    """
    link_use(link=link, user=user)
    membership, is_new = Membership.objects.get_or_create(
        project=link.project, user=user, defaults={"role": link.role}
    )
    if is_new:
        audit_record(
            actor=user,
            action="membership.join",
            target=membership,
            details={"role": membership.role, **rights_review(user)},
        )
    return membership


@transaction.atomic
def invite_accept_new(
    *, link: OneTimeLink, username: str, password: str, language: str = ""
) -> User:
    """A new account exists and is a member of the invitation's project.

    Raises:
        ValidationError: the link does not work any more, or the password is too weak.
    """
    user = _user_create(username=username, password=password, language=language)
    invite_accept(link=link, user=user)
    return user


@transaction.atomic
def membership_create(*, actor: User, project: Project, user: User, role: Role) -> Membership:
    """`user` is a member of `project`, without an invitation.

    Raises:
        PermissionDenied: `actor` does not administer the project.
    """
    _require_admin(actor, project, of=user)
    membership = Membership.objects.create(project=project, user=user, role=role)
    audit_record(
        actor=actor,
        action="membership.add",
        target=membership,
        details={"role": role, **rights_review(user)},
    )
    return membership


@transaction.atomic
def membership_set_role(*, actor: User, membership: Membership, role: Role) -> None:
    """The member acts as `role` from their next request on; what only the old role allowed ends.

    Raises:
        PermissionDenied: `actor` does not administer the project.
        ValidationError: the project would be left without an administrator.
    """
    _require_admin(actor, membership.project, of=membership.user)
    if membership.role == role:
        return
    _refuse_to_lose_last_admin(membership)
    before, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    audit_record(
        actor=actor,
        action="membership.set_role",
        target=membership,
        details={"before": before, "after": role, **rights_review(membership.user)},
    )


@transaction.atomic
def membership_remove(*, actor: User, membership: Membership) -> None:
    """The person is no longer a member; what they made stays, what they handed out ends.

    Raises:
        PermissionDenied: `actor` does not administer the project.
        ValidationError: the project would be left without an administrator.
    """
    _require_admin(actor, membership.project, of=membership.user)
    _refuse_to_lose_last_admin(membership)
    Membership.objects.filter(pk=membership.pk).delete()
    audit_record(
        actor=actor,
        action="membership.remove",
        target=membership,
        details={"role": membership.role, **rights_review(membership.user)},
    )


@transaction.atomic
def user_disable(*, actor: User, user: User, project: Project | None = None) -> None:
    """`user` cannot sign in; their sessions, links and queued runs have ended for good.

    Raises:
        PermissionDenied: `user` is not among `User.objects.managed_by(actor)`.
    """
    _require_managed(user=user, actor=actor)
    user.is_active = False
    user.save(update_fields=["is_active"])
    audit_record(
        actor=actor,
        action="user.disable",
        target=user,
        project=project,
        details=rights_review(user),
    )


@transaction.atomic
def user_enable(*, actor: User, user: User, project: Project | None = None) -> None:
    """`user` can sign in again; what ended when they were disabled stays ended.

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
    OneTimeLink.objects.filter(purpose=OneTimeLink.Purpose.PASSWORD_RESET, user=user).end()
    _link, token = link_create(
        purpose=OneTimeLink.Purpose.PASSWORD_RESET, created_by=actor, user=user
    )
    audit_record(actor=actor, action="user.request_reset", target=user, project=project)
    return token


@transaction.atomic
def password_reset_use(*, link: OneTimeLink, password: str) -> User:
    """The user of the link has the new password, and their other sessions have ended.

    Raises:
        ValidationError: the link does not work any more, or the password is too weak.
    """
    link_use(link=link)
    if link.user is None:
        raise ValueError(f"{link} belongs to no user")
    user_set_password(user=link.user, password=password, action="user.reset_password")
    return link.user


@transaction.atomic
def user_set_password(*, user: User, password: str, action: str = "user.change_password") -> None:
    """`user` has the new password; their other sessions, and all links of theirs, have ended.

    Raises:
        ValidationError: the password is too weak.
    """
    validate_password(password, user)
    accounts_lock(user)
    user.set_password(password)
    user.save(update_fields=["password"])
    audit_record(actor=user, action=action, target=user, details=keys_end(user))


def _require_admin(actor: User, project: Project, *, of: User | None = None) -> None:
    accounts_lock(actor, of)
    if role_in(actor, project) != Role.ADMIN:
        raise PermissionDenied(f"{actor} does not administer {project}")


def _require_managed(*, user: User, actor: User) -> None:
    accounts_lock(actor, user)
    if not actor.is_active or not User.objects.managed_by(actor).filter(pk=user.pk).exists():
        raise PermissionDenied(f"{actor} does not administer every project of {user}")


def _user_create(*, username: str, password: str, language: str) -> User:
    user = User(username=username, language=language)
    validate_password(password, user)
    user.set_password(password)
    user.save()
    return user


def _refuse_to_lose_last_admin(membership: Membership) -> None:
    # Of two administrators who demote each other at once, one comes second and gets the error.
    Project.objects.select_for_update(no_key=True).get(pk=membership.project_id)
    is_admin = membership.role == Role.ADMIN
    others = Membership.objects.filter(
        project=membership.project, role=Role.ADMIN, user__is_active=True
    )
    if is_admin and not others.exclude(pk=membership.pk).exists():
        raise ValidationError(
            _("%(user)s is the only administrator of %(project)s: name another one first.")
            % {"user": membership.user.username, "project": membership.project.name},
            code="last_admin",
        )

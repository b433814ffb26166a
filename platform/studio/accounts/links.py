"""One-time links: set-up of the first administrator, invitations and password resets."""

import hashlib
import secrets
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from studio.accounts.models import OneTimeLink, Project, Role, User
from studio.accounts.rights import accounts_lock, link_has_reason

LIFETIMES = {
    OneTimeLink.Purpose.SETUP: timedelta(minutes=30),
    OneTimeLink.Purpose.INVITE: timedelta(days=7),
    OneTimeLink.Purpose.PASSWORD_RESET: timedelta(hours=24),
}


def link_create(
    *,
    purpose: OneTimeLink.Purpose,
    created_by: User | None = None,
    project: Project | None = None,
    role: Role | None = None,
    user: User | None = None,
    note: str = "",
) -> tuple[OneTimeLink, str]:
    """A link exists; its token is returned here and can never be read again."""
    token = secrets.token_urlsafe(32)
    link = OneTimeLink.objects.create(
        token_sha256=_digest(token),
        purpose=purpose,
        created_by=created_by,
        expires_at=timezone.now() + LIFETIMES[purpose],
        project=project,
        role=role or "",
        user=user,
        note=note,
    )
    return link, token


def link_find(*, purpose: OneTimeLink.Purpose, token: str) -> OneTimeLink | None:
    """The link that `token` opens, if it is open and the reason it was made for still holds."""
    link = (
        OneTimeLink.objects.open()
        .select_related("project", "user", "created_by")
        .filter(token_sha256=_digest(token), purpose=purpose)
        .first()
    )
    return link if link is not None and link_has_reason(link) else None


def link_use(*, link: OneTimeLink, user: User | None = None) -> None:
    """The link is spent, in the transaction of what it allows.

    Of two people who use it at once, one gets the error; so does who uses it while the right of its
    maker ends.

    Args:
        link: As it was found, perhaps a while ago.
        user: Who uses it, where their account gains by it: locked as `accounts_lock` does.

    Raises:
        ValidationError: it was used, withdrawn or without reason a moment ago.
    """
    accounts_lock(link.created_by, link.user, user)
    is_ours = OneTimeLink.objects.open().filter(pk=link.pk).update(used_at=timezone.now()) == 1
    if not is_ours or not link_has_reason(link):
        raise ValidationError(_("This link does not work any more."), code="link_used")


def link_end(*, link: OneTimeLink) -> None:
    """The link is withdrawn.

    Raises:
        ValidationError: it was used a moment ago.
    """
    if not OneTimeLink.objects.filter(pk=link.pk).end():
        raise ValidationError(_("This link has already been used."), code="link_used")


def _digest(token: str) -> str:
    # A plain hash is enough: the token itself has 256 random bits.
    return hashlib.sha256(token.encode()).hexdigest()

"""One-time links: set-up of the first administrator, invitations and password resets."""

import hashlib
import secrets
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from studio.accounts.models import OneTimeLink, Project, Role, User

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
    """The link that `token` opens, if it is unused, in time and its maker still has an account."""
    return (
        OneTimeLink.objects.select_related("project", "user", "created_by")
        .filter(
            token_sha256=_digest(token),
            purpose=purpose,
            used_at=None,
            expires_at__gt=timezone.now(),
        )
        .exclude(created_by__is_active=False)
        .first()
    )


def link_use(*, link: OneTimeLink) -> None:
    """The link is spent. Of two people who use it at once, one gets the error.

    Raises:
        ValidationError: it was used a moment ago.
    """
    if not OneTimeLink.objects.filter(pk=link.pk, used_at=None).update(used_at=timezone.now()):
        raise ValidationError(_("This link has already been used."), code="link_used")


def _digest(token: str) -> str:
    # A plain hash is enough: the token itself has 256 random bits.
    return hashlib.sha256(token.encode()).hexdigest()

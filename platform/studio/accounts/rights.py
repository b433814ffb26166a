"""A right ends when its reason ends.

What a person hands out or holds, and the reason for which it works. The reason is asked at every
use, in the transaction of the use:

    set-up link     nobody administers the installation
    invitation      its maker administers the project
    reset link      its maker manages the account, and the account is not disabled
    session         the account is not disabled, password and `session_epoch` are as it began
    queued run      who started it may start that kind in its project (`studio.runs.rights`)

A reason that comes back does not bring back what was made for the earlier one: whatever changes
memberships or accounts calls `rights_review`, and what lacks its reason then has ended for good. A
new password, besides, ends every key that the account holds or has handed out, because the old one
may have been in foreign hands (`keys_end`). A queued run is work, not a key, and goes on.

A later kind, such as an API token, has a `..._has_reason` here, asked at its use, and a line in
`rights_review` and, if it opens something, in `keys_end`. Apps above this one name a function in
`settings.STUDIO_RIGHT_ENDERS`. `tests/web/test_rights.py` crosses every kind with every event.
"""

from collections.abc import Callable

from django.conf import settings
from django.db.models import F, Q
from django.utils.module_loading import import_string

from studio.accounts.models import Membership, OneTimeLink, Project, Role, User
from studio.accounts.querysets import OneTimeLinkQuerySet

RightEnder = Callable[[User], int]
"""Ends for good what of the user lacks its reason now; how many."""


def role_in(user: User, project: Project) -> Role | None:
    """What `user` may act as in `project` now; None for strangers and disabled accounts."""
    if not user.is_active:
        return None
    if user.is_superuser:
        return Role.ADMIN
    role = Membership.objects.filter(user=user, project=project).values_list("role", flat=True)
    return Role(role[0]) if role else None


def link_has_reason(link: OneTimeLink) -> bool:
    """Whether the link should work, apart from its time and from having been used."""
    maker = User.objects.filter(pk=link.created_by_id).first()
    match OneTimeLink.Purpose(link.purpose):
        case OneTimeLink.Purpose.SETUP:
            return not User.objects.filter(is_superuser=True, is_active=True).exists()
        case OneTimeLink.Purpose.INVITE:
            return (
                maker is not None
                and link.project is not None
                and role_in(maker, link.project) == Role.ADMIN
            )
        case OneTimeLink.Purpose.PASSWORD_RESET:
            managed = User.objects.none() if maker is None else User.objects.managed_by(maker)
            return (
                maker is not None
                and maker.is_active
                and managed.filter(pk=link.user_id, is_active=True).exists()
            )


def accounts_lock(*users: User | None) -> None:
    """Until the transaction ends nobody else uses or reviews what these accounts may do.

    Always in the same order, so that two who lock the same accounts cannot wait for each other.
    """
    keys = sorted({user.pk for user in users if user is not None})
    # NO KEY: rows that merely name the account may be inserted meanwhile.
    locked = User.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk")
    list(locked.values_list("pk", flat=True))


def rights_review(user: User) -> dict[str, int]:
    """What `user` made or holds, and has lost its reason by now, never works again.

    In the transaction of the change, after it and under `accounts_lock`.

    Returns:
        How many ended, for the audit line: kind -> number, without zeros.
    """
    baseless = [link.pk for link in _open_links(user) if not link_has_reason(link)]
    ended = {"links": OneTimeLink.objects.filter(pk__in=baseless).end()}
    if not user.is_active:
        User.objects.filter(pk=user.pk).update(session_epoch=F("session_epoch") + 1)
        user.refresh_from_db(fields=["session_epoch"])
    for dotted in settings.STUDIO_RIGHT_ENDERS:
        ender: RightEnder = import_string(dotted)
        ended[dotted.rpartition(".")[2].removesuffix("_review")] = ender(user)
    return {kind: number for kind, number in ended.items() if number}


def keys_end(user: User) -> dict[str, int]:
    """No link that `user` made, or that opens their account, works any more.

    Sessions end with the password, because they carry its hash.
    """
    number = _open_links(user).end()
    return {"links": number} if number else {}


def _open_links(user: User) -> OneTimeLinkQuerySet:
    return OneTimeLink.objects.open().filter(Q(created_by=user) | Q(user=user))

"""Reads of the accounts app. Views start from `for_user`, never from all rows."""

from typing import TYPE_CHECKING, NoReturn

from django.db import models
from django.utils import timezone

if TYPE_CHECKING:
    from studio.accounts.models import AuditEvent, Membership, OneTimeLink, Project, User  # noqa: F401


class UserQuerySet(models.QuerySet["User"]):
    def managed_by(self, actor: "User") -> "UserQuerySet":
        """The accounts that `actor` may disable and whose passwords they may reset.

        An administrator of one project must not take over an account that also works elsewhere:
        every project of the account has to be administered by `actor`.
        """
        others = self.exclude(pk=actor.pk)
        if actor.is_superuser:
            return others
        administered = actor.memberships.filter(role="admin").values("project")
        memberships = actor.memberships.model.objects
        of_account = memberships.filter(user=models.OuterRef("pk"))
        return others.filter(
            models.Exists(of_account.filter(project__in=administered)),
            ~models.Exists(of_account.exclude(project__in=administered)),
            is_superuser=False,
        )


class ProjectQuerySet(models.QuerySet["Project"]):
    def for_user(self, user: "User") -> "ProjectQuerySet":
        """The projects in which `user` has a role."""
        if user.is_superuser:
            return self
        return self.filter(memberships__user=user)


class MembershipQuerySet(models.QuerySet["Membership"]):
    def for_user(self, user: "User") -> "MembershipQuerySet":
        """The memberships in the projects that `user` belongs to."""
        if user.is_superuser:
            return self
        return self.filter(project__memberships__user=user)


class OneTimeLinkQuerySet(models.QuerySet["OneTimeLink"]):
    def open(self) -> "OneTimeLinkQuerySet":
        """Links in time, neither used nor ended; `rights` says whether they have a reason."""
        return self.filter(used_at=None, ended_at=None, expires_at__gt=timezone.now())

    def end(self) -> int:
        """The open ones among them never work again; how many."""
        return self.open().update(ended_at=timezone.now())


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def for_user(self, user: "User") -> "AuditEventQuerySet":
        """The events of projects that `user` administers."""
        if user.is_superuser:
            return self
        return self.filter(project__memberships__user=user, project__memberships__role="admin")

    def update(self, **kwargs: object) -> NoReturn:
        raise TypeError("audit events are append-only")

    def delete(self) -> NoReturn:
        raise TypeError("audit events are append-only")

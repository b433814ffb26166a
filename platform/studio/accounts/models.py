"""People, what they may do in which project, and what was done."""

from collections.abc import Iterable, Iterator
from typing import ClassVar, NoReturn

from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.db import models
from django.utils.translation import gettext_lazy as _

from studio.accounts.audit_actions import audit_actions
from studio.accounts.querysets import (
    AuditEventQuerySet,
    MembershipQuerySet,
    OneTimeLinkQuerySet,
    ProjectQuerySet,
    UserQuerySet,
)


class Role(models.TextChoices):
    """What a member does in a project."""

    EXPERT = "expert", _("Domain expert")
    ENGINEER = "engineer", _("Engineer")
    REVIEWER = "reviewer", _("Reviewer")
    ADMIN = "admin", _("Administrator")


class Theme(models.TextChoices):
    AUTO = "auto", _("As the system")
    LIGHT = "light", _("Light")
    DARK = "dark", _("Dark")


class UserManager(DjangoUserManager["User"].from_queryset(UserQuerySet)):  # type: ignore[misc]
    """Django's manager with the querysets of `UserQuerySet`."""


class User(AbstractUser):
    """A person who can sign in.

    A superuser is the installation's administrator and acts as `Role.ADMIN` in every project.
    """

    language = models.CharField(max_length=8, blank=True)
    theme = models.CharField(max_length=8, choices=Theme.choices, default=Theme.AUTO)
    session_epoch = models.PositiveIntegerField(default=0, db_default=0)
    """How often every session of the account was ended: part of what a session must match."""

    objects: ClassVar[UserManager] = UserManager()

    def get_session_auth_hash(self) -> str:
        return self._with_epoch(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        return map(self._with_epoch, super().get_session_auth_fallback_hash())

    def _with_epoch(self, password_hash: str) -> str:
        # At 0 it is Django's own, so that sessions from before there was an epoch go on.
        return f"{password_hash}.{self.session_epoch}" if self.session_epoch else password_hash


class Project(models.Model):
    """The unit of sharing: everything else belongs to exactly one project."""

    slug = models.SlugField(max_length=50, unique=True)
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ("name", "id")

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """`user` acts as `role` in `project`."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("project", "user"), name="membership_once_per_project"),
        )

    def __str__(self) -> str:
        return self.user.username


class OneTimeLink(models.Model):
    """A secret address that does one thing once. Only the hash of its token is stored."""

    class Purpose(models.TextChoices):
        SETUP = "setup", _("First administrator")
        INVITE = "invite", _("Invitation")
        PASSWORD_RESET = "password_reset", _("Password reset")

    token_sha256 = models.CharField(max_length=64, unique=True)
    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    """Withdrawn, or its reason ended: see `rights`."""
    # An invitation has a project and a role; a password reset has a user.
    project = models.ForeignKey(
        Project, null=True, on_delete=models.CASCADE, related_name="invitations"
    )
    role = models.CharField(max_length=16, choices=Role.choices, blank=True)
    note = models.CharField(max_length=120, blank=True)
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")

    objects = OneTimeLinkQuerySet.as_manager()

    def __str__(self) -> str:
        return f"#{self.pk}"


class SignInFailure(models.Model):
    """One failed sign-in, counted to slow down guessing; or one whose password is being checked."""

    username = models.CharField(max_length=150)
    address = models.CharField(max_length=45)
    """`Visitor.source`."""
    device = models.CharField(max_length=32, blank=True, db_default="")
    """Number of the device cookie of a browser that is known for the name."""
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        # For `sign_in`: newest failures of one name, and from one address.
        indexes = (
            models.Index(fields=("username", "at"), name="sign_in_failure_recent"),
            models.Index(fields=("address", "at"), name="sign_in_failure_source"),
        )

    def __str__(self) -> str:
        return f"{self.username} from {self.address}"


class AuditEvent(models.Model):
    """Who did what to which object. Rows are only ever added, here and by database triggers."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    # Names are copied: the line must read the same after a rename.
    actor_name = models.CharField(max_length=150)
    action = models.CharField(max_length=64)
    project = models.ForeignKey(Project, null=True, on_delete=models.PROTECT, related_name="+")
    target_type = models.CharField(max_length=64)
    target_id = models.CharField(max_length=64)
    target_name = models.CharField(max_length=200)
    details = models.JSONField(default=dict)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        # For the audit page: one project's events, newest first.
        indexes = (models.Index(fields=("project", "-id"), name="audit_by_project"),)

    def __str__(self) -> str:
        return f"{self.actor_name} {self.action} {self.target_type} {self.target_id}"

    def save(
        self,
        *,
        force_insert: bool | tuple[object, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        if not self._state.adding:
            raise TypeError("audit events are append-only")
        super().save(force_insert=True, using=using)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> NoReturn:
        raise TypeError("audit events are append-only")

    @property
    def action_label(self) -> str:
        """The action in the reader's language; its name if no app declares it any more."""
        return str(audit_actions().get(self.action, self.action))

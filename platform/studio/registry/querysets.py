"""What pages read of checkpoints."""

from typing import TYPE_CHECKING

from django.db import models

from studio.accounts.models import Project, User

if TYPE_CHECKING:  # models.py imports this module
    from studio.registry.models import Checkpoint  # noqa: F401 (named in the base)


class CheckpointQuerySet(models.QuerySet["Checkpoint"]):
    def for_user(self, user: User) -> "CheckpointQuerySet":
        """Checkpoints of the projects the user is a member of."""
        return self.filter(project__in=Project.objects.for_user(user))

    def live(self) -> "CheckpointQuerySet":
        """Not deleted."""
        return self.filter(deleted_at=None)

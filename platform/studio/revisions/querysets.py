"""What pages read of changes."""

from typing import TYPE_CHECKING

from django.db import models

from studio.accounts.models import User
from studio.datasets.models import DatasetVersion
from studio.runs.states import TERMINAL_STATES

if TYPE_CHECKING:  # models.py imports this module
    from studio.revisions.models import PendingChange  # noqa: F401 (named in the bases)


class PendingChangeQuerySet(models.QuerySet["PendingChange"]):
    def waiting(self, version: DatasetVersion, author: User) -> "PendingChangeQuerySet":
        """Collected by the author and not part of a run that still works."""
        is_free = models.Q(revision=None) | models.Q(revision__run__state__in=TERMINAL_STATES)
        return self.filter(is_free, version=version, author=author).order_by("pk")

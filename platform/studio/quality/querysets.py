"""What pages read of token previews; checks and cleanings are reached through their version."""

from typing import TYPE_CHECKING

from django.db import models

from studio.accounts.models import Project, User

if TYPE_CHECKING:  # models.py imports this module
    from studio.quality.models import TokenPreview  # noqa: F401 (named in the base)


class TokenPreviewQuerySet(models.QuerySet["TokenPreview"]):
    def for_user(self, user: User) -> "TokenPreviewQuerySet":
        """Of versions of the projects the user is a member of."""
        return self.filter(version__dataset__project__in=Project.objects.for_user(user))

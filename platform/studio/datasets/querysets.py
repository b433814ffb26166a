"""What pages read of data sets, versions and imports."""

from typing import TYPE_CHECKING

from django.db import models

from studio.accounts.models import Project, User

if TYPE_CHECKING:  # models.py imports this module
    from studio.datasets.models import (  # noqa: F401 (named in the bases)
        Dataset,
        DatasetVersion,
        Import,
        Preview,
        Upload,
    )


class DatasetQuerySet(models.QuerySet["Dataset"]):
    def for_user(self, user: User) -> "DatasetQuerySet":
        """Data sets of the projects the user is a member of."""
        return self.filter(project__in=Project.objects.for_user(user))


class DatasetVersionQuerySet(models.QuerySet["DatasetVersion"]):
    def for_user(self, user: User) -> "DatasetVersionQuerySet":
        """Versions of the projects the user is a member of."""
        return self.filter(dataset__project__in=Project.objects.for_user(user))

    def live(self) -> "DatasetVersionQuerySet":
        """Not deleted."""
        return self.filter(deleted_at=None)


class UploadQuerySet(models.QuerySet["Upload"]):
    def for_user(self, user: User) -> "UploadQuerySet":
        """Uploads of the projects the user is a member of."""
        return self.filter(project__in=Project.objects.for_user(user))

    def unfinished(self) -> "UploadQuerySet":
        """Stored, and neither kept as a version nor discarded."""
        return self.filter(discarded_at=None, versions=None)


class ImportQuerySet(models.QuerySet["Import"]):
    def for_user(self, user: User) -> "ImportQuerySet":
        """Imports of the projects the user is a member of."""
        return self.filter(dataset__project__in=Project.objects.for_user(user))


class PreviewQuerySet(models.QuerySet["Preview"]):
    def for_user(self, user: User) -> "PreviewQuerySet":
        """Previews of the projects the user is a member of."""
        return self.filter(upload__project__in=Project.objects.for_user(user))

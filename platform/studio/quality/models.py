"""Runs that look at a data set version before training, or make a cleaner one of it."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from studio.accounts.models import Project
from studio.datasets.models import DatasetVersion
from studio.quality.querysets import TokenPreviewQuerySet
from studio.registry.models import Checkpoint
from studio.runs.models import Run


class QualityCheck(models.Model):
    """A check of a version; its figures and flags are the run's."""

    version = models.ForeignKey(
        DatasetVersion, on_delete=models.PROTECT, related_name="quality_checks"
    )
    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="quality_check")
    test_versions = models.ManyToManyField(DatasetVersion, related_name="+")
    """Overlap with these was looked for; the run's spec has their order."""
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.version} ({self.pk})"

    @property
    def project(self) -> Project:
        """For the audit log."""
        return self.version.project


class Cleaning(models.Model):
    """A new version is made without personal data or without flagged rows."""

    version = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="cleanings")
    """What it is made of."""
    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="cleaning")
    note = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.version} ({self.pk})"

    @property
    def project(self) -> Project:
        """For the audit log."""
        return self.version.project


class TokenPreview(models.Model):
    """A look at the tokens of a few rows."""

    version = models.ForeignKey(
        DatasetVersion, on_delete=models.PROTECT, related_name="token_previews"
    )
    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="token_preview")
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="+")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = TokenPreviewQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.version} ({self.pk})"

    @property
    def project(self) -> Project:
        """For the audit log."""
        return self.version.project

"""What people do to versions: changes that wait, the versions made of them, tags and remarks."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from studio.accounts.models import Project
from studio.datasets.models import DatasetVersion
from studio.revisions.querysets import PendingChangeQuerySet
from studio.runs.models import Run


class Revision(models.Model):
    """A run that makes a version of another one, and who asked for it."""

    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="revision")
    base = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="revisions")
    appended = models.ForeignKey(Run, null=True, on_delete=models.PROTECT, related_name="+")
    """Whose rows come behind those of the base: a version's, or an import's."""
    reason = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.base} +"

    @property
    def project(self) -> Project:
        """For the audit log."""
        return self.base.project


class PendingChange(models.Model):
    """A change to a version that its author has collected and not made a version of yet."""

    version = models.ForeignKey(
        DatasetVersion, on_delete=models.CASCADE, related_name="pending_changes"
    )
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    row_key = models.CharField(max_length=64)
    """SHA-256 of what the change concerns: one change for one row."""
    change = models.JSONField()
    """A `pipeline.contracts.dataset_revisions.RowChange`."""
    revision = models.ForeignKey(
        Revision, null=True, on_delete=models.SET_NULL, related_name="changes"
    )
    """Which is to make it."""
    created_at = models.DateTimeField(db_default=Now())

    objects = PendingChangeQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("version", "author", "row_key"), name="pending_change_once_a_row"
            ),
        )

    def __str__(self) -> str:
        return f"{self.version}: {self.change.get('action')}"


class VersionTag(models.Model):
    """A word on a version, by which people find it."""

    version = models.ForeignKey(DatasetVersion, on_delete=models.CASCADE, related_name="tags")
    name = models.CharField(max_length=40)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(fields=("version", "name"), name="version_tag_once"),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def project(self) -> Project:
        """For the audit log."""
        return self.version.project


class VersionRemark(models.Model):
    """What somebody has to say about a version; never changed."""

    version = models.ForeignKey(DatasetVersion, on_delete=models.CASCADE, related_name="remarks")
    text = models.CharField(max_length=1_000)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.text[:60]

    @property
    def project(self) -> Project:
        """For the audit log."""
        return self.version.project


class Comparison(models.Model):
    """A run that finds what differs between two versions of a data set."""

    older = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="+")
    newer = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="+")
    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="version_comparison")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("older", "newer"), name="version_comparison_once"),
        )

    def __str__(self) -> str:
        return f"{self.older} / {self.newer}"

    @property
    def project(self) -> Project:
        """For the audit log."""
        return self.newer.project

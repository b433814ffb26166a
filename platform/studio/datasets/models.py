"""Data sets and their immutable versions, and the uploads and runs the versions come from.

A file is uploaded once (`Upload`), looked at (`Preview`) and read by a run (`Import`), perhaps
several times with other settings. What a person started becomes a `DatasetVersion` when a person
says so; what a program started does at once, if its policy allows it.
"""

import uuid
from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from pipeline.contracts.dataset_manifest import DatasetManifest
from studio.accounts.models import Project
from studio.datasets.querysets import (
    DatasetQuerySet,
    DatasetVersionQuerySet,
    ImportQuerySet,
    PreviewQuerySet,
    UploadQuerySet,
)
from studio.runs.models import Run
from studio.runs.states import RunState


class DatasetKind(models.TextChoices):
    """What the rows are; decides their fields."""

    CORPUS = "corpus", _("Documents")
    CONVERSATIONS = "conversations", _("Conversations")
    DOMAIN_TEST = "domain_test", _("Questions and answers")
    MULTIPLE_CHOICE = "multiple_choice", _("Multiple choice")


class ImportPolicy(models.TextChoices):
    """What happens when some rows are wrong."""

    ALL_OR_NOTHING = "all_or_nothing", _("Keep nothing unless every row is right")
    VALID_ROWS = "valid_rows", _("Keep the rows that are right")


class Dataset(models.Model):
    """A name for a series of versions of the same kind."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="datasets")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=20, choices=DatasetKind.choices)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = DatasetQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("project", "name"), name="dataset_name_unique"),
        )

    def __str__(self) -> str:
        return self.name


class Upload(models.Model):
    """A file as it was sent; stored under a name of our own."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="uploads")
    file_name = models.CharField(max_length=255)
    """What the person called it; only ever shown."""
    suffix = models.CharField(max_length=10, blank=True)
    num_bytes = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    uploader = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())
    discarded_at = models.DateTimeField(null=True)
    """The file was removed."""

    objects = UploadQuerySet.as_manager()

    class Meta:
        indexes = (models.Index(fields=("project", "sha256"), name="upload_by_content"),)

    def __str__(self) -> str:
        return self.file_name

    @property
    def path(self) -> Path:
        """Where the file is."""
        return uploads_dir() / f"{self.id}{self.suffix}"


class Preview(models.Model):
    """A run that shows how an upload would be read; its spec has the choices made so far."""

    upload = models.ForeignKey(Upload, on_delete=models.PROTECT, related_name="previews")
    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="dataset_preview")
    kind = models.CharField(max_length=20, choices=DatasetKind.choices)
    dataset_name = models.CharField(max_length=120)
    """Of the data set that the file is to become a version of."""
    note = models.CharField(max_length=200, blank=True)
    remembers = models.BooleanField(default=False, db_default=False)
    """The next file with columns of these names is to be read in the same way."""
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = PreviewQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.upload} -> {self.dataset_name}"

    @property
    def project(self) -> Project:
        """For the audit log."""
        return self.upload.project


class SavedMapping(models.Model):
    """What the columns of a file meant, for the next file with columns of the same names."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=DatasetKind.choices)
    shape = models.CharField(max_length=64)
    """Digest of the names (`pipeline.contracts.preview_dataset`)."""
    columns = models.JSONField()
    """Name -> meaning, of keys."""
    columns_at = models.JSONField()
    """Position from 1, as text -> meaning."""
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("project", "kind", "shape"), name="saved_mapping_unique"
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.shape[:10]}"


class Import(models.Model):
    """A run that reads an upload into a data set."""

    upload = models.ForeignKey(Upload, on_delete=models.PROTECT, related_name="imports")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="imports")
    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="dataset_import")
    preview = models.ForeignKey(
        Preview, null=True, on_delete=models.PROTECT, related_name="imports"
    )
    """The one whose choices it follows."""
    needs_commit = models.BooleanField(default=False, db_default=False)
    """Its rows become a version only when a person has seen the report and says so."""
    note = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = ImportQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.upload} -> {self.dataset}"

    @property
    def waits(self) -> bool:
        """A person has to look at its report and decide."""
        is_open = self.needs_commit and self.upload.discarded_at is None
        has_ended_well = self.run.state == RunState.SUCCEEDED
        return is_open and has_ended_well and not hasattr(self.run, "dataset_version")

    @property
    def project(self) -> Project:
        """For the audit log."""
        return self.dataset.project


class DatasetVersion(models.Model):
    """Rows that never change: Parquet and a manifest, identified by the digest of the rows."""

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    path = models.CharField(max_length=300, unique=True)
    """`rows.parquet`, relative to the data directory."""
    digest = models.CharField(max_length=64)
    num_rows = models.PositiveBigIntegerField()
    num_rejected = models.PositiveBigIntegerField()
    manifest = models.JSONField()
    note = models.CharField(max_length=200, blank=True)
    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="dataset_version")
    upload = models.ForeignKey(Upload, on_delete=models.PROTECT, related_name="versions")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())
    deleted_at = models.DateTimeField(null=True)
    deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )

    objects = DatasetVersionQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("dataset", "number"), name="dataset_version_number_unique"
            ),
        )

    def __str__(self) -> str:
        return f"{self.dataset} v{self.number}"

    @property
    def project(self) -> Project:
        """For the audit log."""
        return self.dataset.project

    @property
    def rows_path(self) -> Path:
        """Where the rows are, unless the version was deleted."""
        return Path(settings.STUDIO_DATA_DIR) / self.path

    @property
    def description(self) -> DatasetManifest:
        """The manifest as a contract."""
        return DatasetManifest.model_validate(self.manifest, strict=False)

    def reference(self) -> dict[str, str]:
        """What a spec names the version by (`pipeline.contracts.references.DatasetRef`)."""
        return {"path": str(self.rows_path), "digest": self.digest, "kind": self.dataset.kind}


def uploads_dir() -> Path:
    """Where uploaded files are stored."""
    return Path(settings.STUDIO_DATA_DIR) / "uploads"

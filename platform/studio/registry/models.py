"""Models that runs made or brought in, and which came from which."""

from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from studio.accounts.models import Project
from studio.registry.querysets import CheckpointQuerySet
from studio.runs.kinds import KINDS, CheckpointKind
from studio.runs.models import Run

BASE = CheckpointKind(name="base", label=_("Base model"))
"""A model that no run made: the installation prepared it."""


def checkpoint_kinds() -> list[tuple[str, Promise]]:
    """(stored name, words) of each way in which a checkpoint can come to be."""
    made = [kind.checkpoint for kind in KINDS.values() if kind.checkpoint is not None]
    return [(kind.name, kind.label) for kind in (BASE, *made)]


class Checkpoint(models.Model):
    """A model that never changes, identified by its digest.

    Published when the run that made it succeeds; what it is was found by the pipeline and stands in
    the run's report, because the platform opens no model.
    """

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="checkpoints")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=checkpoint_kinds)
    path = models.CharField(max_length=500)
    """Directory or `.gguf` file, relative to the data directory where it is inside it."""
    digest = models.CharField(max_length=64, blank=True)
    """As the report that brought it names it; empty for a base model known only by its path."""
    facts = models.JSONField(default=dict)
    """`pipeline.modeling.inspection.ModelFacts` without its path; empty where unknown."""
    num_parameters = models.PositiveBigIntegerField(null=True)
    run = models.ForeignKey(Run, null=True, on_delete=models.PROTECT, related_name="checkpoints")
    attempt = models.PositiveIntegerField(null=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())
    license_note = models.CharField(max_length=500, blank=True)
    deleted_at = models.DateTimeField(null=True)
    deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )

    objects = CheckpointQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("project", "path"), name="checkpoint_path_unique_in_project"
            ),
        )
        indexes = (models.Index(fields=("project", "digest"), name="checkpoint_by_digest"),)

    def __str__(self) -> str:
        return self.name

    @property
    def model_path(self) -> Path:
        """Where the model is, unless it was deleted."""
        return Path(settings.STUDIO_DATA_DIR) / self.path

    def reference(self) -> dict[str, str | None]:
        """What a spec names the checkpoint by (`pipeline.contracts.references.Reference`)."""
        return {"path": str(self.model_path), "digest": self.digest or None}


class CheckpointParent(models.Model):
    """`child` was made from `parent`, which its run's spec names under `role`."""

    child = models.ForeignKey(Checkpoint, on_delete=models.CASCADE, related_name="parent_links")
    parent = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="child_links")
    role = models.CharField(max_length=40)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("child", "parent", "role"), name="checkpoint_parent_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.parent} -> {self.child}"


class Certificate(models.Model):
    """What a decoding benchmark certified of one arm: signed, or why it is not.

    Never changed: a key that is exchanged later leaves it signed by the old one.
    """

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="certificates")
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="certificates")
    arm = models.CharField(max_length=200)
    checkpoints = models.ManyToManyField(Checkpoint, related_name="certificates")
    """The target, and what drafted for it."""
    document = models.TextField()
    """The file (`pipeline.contracts.certificate`)."""
    key_id = models.CharField(max_length=64, blank=True)
    """Of the key that signed it; empty for one that is not signed."""
    differs_in = models.JSONField(default=list)
    """Dotted names of what the run stated otherwise than the platform's records: not signed."""
    unknown = models.JSONField(default=list)
    """Dotted names of inputs whose digest the platform does not know itself: not signed."""
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("run", "arm"), name="certificate_once_for_each_arm"),
        )

    def __str__(self) -> str:
        return f"{self.arm} of {self.run_id}"


def stored_path(path: Path) -> str:
    """A model's path as `Checkpoint.path` has it."""
    data_dir = Path(settings.STUDIO_DATA_DIR)
    return path.relative_to(data_dir).as_posix() if path.is_relative_to(data_dir) else str(path)

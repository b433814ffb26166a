"""What a run may read of checkpoints."""

from collections.abc import Mapping
from pathlib import Path

from django.utils.translation import gettext as _

from pipeline.errors import SpecError
from studio.accounts.models import Project
from studio.registry.models import Checkpoint, stored_path
from studio.runs.inputs import spec_paths


def refuse_deleted_checkpoints(project: Project, spec: Mapping[str, object]) -> None:
    """No checkpoint that the spec names was deleted.

    Raises:
        SpecError: `spec.input_deleted`, with the dotted location, in the reader's language.
    """
    locations = {stored_path(Path(path)): location for location, path in spec_paths(spec)}
    deleted = (
        Checkpoint.objects.filter(project=project, path__in=locations)
        .exclude(deleted_at=None)
        .select_related("deleted_by")
        .first()
    )
    if deleted is None or deleted.deleted_by is None or deleted.deleted_at is None:
        return
    raise SpecError(
        "spec.input_deleted",
        _(
            "%(location)s: checkpoint %(name)s was deleted by %(user)s on %(date)s; choose "
            "another one"
        )
        % {
            "location": locations[deleted.path],
            "name": deleted.name,
            "user": deleted.deleted_by.username,
            "date": deleted.deleted_at.strftime("%Y-%m-%d"),
        },
    )

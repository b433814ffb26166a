"""What a run may read of models."""

from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from pipeline.contracts.references import ModelSourceRef
from pipeline.errors import SpecError
from studio.accounts.models import Project
from studio.registry.candidates import import_candidates
from studio.registry.models import Checkpoint, stored_path
from studio.runs.inputs import NamedInput


def is_checkpoint(project: Project, named: NamedInput) -> bool:
    """The path is one of the project's checkpoints.

    Raises:
        SpecError: `spec.input_deleted`, with the dotted location, in the reader's language.
    """
    if str(Path(named.path)) != named.path:
        return False
    found = (
        Checkpoint.objects.filter(project=project, path=stored_path(Path(named.path)))
        .select_related("deleted_by")
        .defer("facts")
        .first()
    )
    if found is None or str(found.model_path) != named.path:
        return False
    if found.deleted_by and found.deleted_at:
        raise SpecError(
            "spec.input_deleted",
            _(
                "%(location)s: checkpoint %(name)s was deleted by %(user)s on %(date)s; choose "
                "another one"
            )
            % {
                "location": named.location,
                "name": found.name,
                "user": found.deleted_by.username,
                "date": found.deleted_at.strftime("%Y-%m-%d"),
            },
        )
    return True


def is_base_model(project: Project, named: NamedInput) -> bool:
    """The path is an entry of the folder in which the installation keeps its models.

    Every project may start from them. Whether it is there is found out by the run.
    """
    folder = f"{Path(settings.STUDIO_DATA_DIR) / 'models'}/"
    name = named.path.removeprefix(folder)
    is_inside = named.path.startswith(folder)
    return is_inside and bool(name) and Path(name).name == name and name != ".."


def is_candidate(project: Project, named: NamedInput) -> bool:
    """The path is a model in a folder that the administrator allows, and an import reads it."""
    if named.takes != ModelSourceRef.takes:
        return False
    return named.path in {str(candidate.path) for candidate in import_candidates()}

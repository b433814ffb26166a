"""What people do to checkpoints. Each call is one transaction with its audit event."""

import json
import shutil

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from pipeline.contracts.documents import read_run_spec
from studio.accounts.audit import audit_record
from studio.accounts.models import Project, User
from studio.registry.candidates import Candidate
from studio.registry.models import Checkpoint
from studio.runs.input_lock import lock_inputs
from studio.runs.inputs import unfinished_runs_reading
from studio.runs.models import Run
from studio.runs.services import run_create


def import_start(
    *, project: Project, actor: User, candidate: Candidate, name: str, license_note: str = ""
) -> Run:
    """A run inspects and copies the model; the checkpoint exists once it has succeeded.

    Raises:
        SpecError: the model lies outside the folders that runs may read.
    """
    spec = {
        "kind": "import_checkpoint",
        "name": name,
        "source": {"path": str(candidate.path)},
        "license_note": license_note,
    }
    with transaction.atomic():
        run = run_create(project=project, actor=actor, spec=read_run_spec(json.dumps(spec)))
        audit_record(
            actor=actor, action="checkpoint.import", target=run, details={"from": candidate.label}
        )
    return run


def checkpoint_delete(*, checkpoint: Checkpoint, actor: User) -> None:
    """The model's files are removed; what it was, and what was made of it, stays on record.

    Raises:
        ValidationError: a run that has not ended reads it, or the files belong to the installation.
    """
    with transaction.atomic():
        lock_inputs(checkpoint.project_id)
        checkpoint = (
            Checkpoint.objects.select_for_update(of=("self",))
            .select_related("project")
            .get(pk=checkpoint.pk)
        )
        if checkpoint.deleted_at is not None:
            return
        if checkpoint.run_id is None:
            raise ValidationError(
                _("%(name)s was prepared with the installation and is used by other projects.")
                % {"name": checkpoint.name},
                code="shared",
            )
        path = checkpoint.model_path
        directory = path if path.is_dir() else path.parent
        readers = unfinished_runs_reading(checkpoint.project, directory)
        if readers:
            raise ValidationError(
                _("%(name)s is in use by the run %(run)s: cancel it first, or wait for it.")
                % {"name": checkpoint.name, "run": readers[0].name},
                code="in_use",
            )
        checkpoint.deleted_at = timezone.now()
        checkpoint.deleted_by = actor
        checkpoint.save(update_fields=["deleted_at", "deleted_by"])
        audit_record(
            actor=actor,
            action="checkpoint.delete",
            target=checkpoint,
            details={"digest": checkpoint.digest},
        )
        transaction.on_commit(lambda: shutil.rmtree(directory, ignore_errors=True))

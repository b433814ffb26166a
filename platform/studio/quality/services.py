"""What people ask of a version before training. Each call is one transaction with its audit event.

Every run reads only what the project has; a version that was deleted is refused by the run's own
rules (`spec.input_deleted`).
"""

import json
from collections.abc import Collection, Mapping, Sequence

from django.db import transaction

from pipeline.contracts.documents import read_run_spec
from studio.accounts.audit import audit_record
from studio.accounts.models import User
from studio.datasets.models import DatasetVersion
from studio.quality.models import Cleaning, QualityCheck, TokenPreview
from studio.quality.summaries import flags_path
from studio.registry.models import Checkpoint
from studio.runs.input_lock import lock_inputs
from studio.runs.models import Run
from studio.runs.services import run_create


def check_start(
    *, version: DatasetVersion, actor: User, test_versions: Sequence[DatasetVersion] = ()
) -> QualityCheck:
    """A run looks through the version, also for overlap with the test versions.

    Raises:
        SpecError: one of the versions was deleted.
    """
    spec: dict[str, object] = {
        "kind": "check_dataset",
        "name": str(version)[:200],
        "dataset": version.reference(),
        "test_sets": [test.reference() for test in test_versions],
    }
    with transaction.atomic():
        run = _run(version, actor, spec)
        check = QualityCheck.objects.create(version=version, run=run, created_by=actor)
        check.test_versions.set(test_versions)
        audit_record(
            actor=actor,
            action="quality.check",
            target=check,
            details={"version": version.pk, "test_versions": [test.pk for test in test_versions]},
        )
    return check


def clean_start(
    *,
    version: DatasetVersion,
    actor: User,
    personal: Collection[str],
    style: str,
    drop: Collection[str] = (),
    check: QualityCheck | None = None,
    note: str = "",
) -> Cleaning:
    """A run makes a new version of the same data set; rows to drop are those the check flagged.

    Raises:
        SpecError: nothing is chosen, or the version was deleted.
    """
    flags = None if check is None or not drop else {"path": str(flags_path(check))}
    spec: dict[str, object] = {
        "kind": "mask_dataset",
        "name": str(version)[:200],
        "dataset": version.reference(),
        "personal": list(personal),
        "style": style,
        "drop": list(drop),
        "flags": flags,
        "source": version.description.source.model_dump(mode="json"),
        "num_rejected": version.num_rejected,
        "author": actor.username,
        "reason": note,
    }
    with transaction.atomic():
        run = _run(version, actor, spec)
        cleaning = Cleaning.objects.create(version=version, run=run, created_by=actor, note=note)
        audit_record(
            actor=actor,
            action="quality.clean",
            target=cleaning,
            details={"version": version.pk, "personal": list(personal), "drop": list(drop)},
        )
    return cleaning


def preview_start(
    *,
    version: DatasetVersion,
    checkpoint: Checkpoint,
    actor: User,
    start: int,
    num_rows: int,
    max_seq_length: int,
) -> TokenPreview:
    """A run tokenises rows of the version as a training of the checkpoint would.

    Raises:
        SpecError: the version or the checkpoint was deleted.
    """
    spec = {
        "kind": "preview_tokens",
        "name": str(version)[:200],
        "model": checkpoint.reference(),
        "dataset": version.reference(),
        "start": start,
        "num_rows": num_rows,
        "max_seq_length": max_seq_length,
    }
    with transaction.atomic():
        run = _run(version, actor, spec)
        preview = TokenPreview.objects.create(
            version=version, run=run, checkpoint=checkpoint, created_by=actor
        )
        audit_record(
            actor=actor,
            action="quality.preview",
            target=preview,
            details={"version": version.pk, "checkpoint": checkpoint.pk},
        )
    return preview


def _run(version: DatasetVersion, actor: User, spec: Mapping[str, object]) -> Run:
    lock_inputs(version.dataset.project_id)
    document = read_run_spec(json.dumps(spec))
    return run_create(project=version.project, actor=actor, spec=document)

"""Collecting changes, and making a version of them. Each call is one transaction."""

import hashlib
import json

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from pydantic import TypeAdapter

from pipeline.contracts.dataset_revisions import (
    AddRow,
    DeleteRow,
    MapValue,
    ReplaceRow,
    RowChange,
)
from pipeline.contracts.documents import read_run_spec
from studio.accounts.audit import audit_record
from studio.accounts.models import User
from studio.datasets.models import DatasetVersion
from studio.revisions.appended import AppendedRows
from studio.revisions.models import PendingChange, Revision
from studio.runs.input_lock import lock_inputs
from studio.runs.services import run_create

MAX_CHANGES = 1_000
MAX_CHANGES_CHARS = 4 << 20
_CHANGE: TypeAdapter[RowChange] = TypeAdapter(RowChange)


def change_collect(
    *, version: DatasetVersion, actor: User, change: RowChange, place: str = ""
) -> PendingChange:
    """The change waits to become part of a version; it goes before an earlier one of that row.

    Args:
        version: which it is to change.
        actor: whose collection it joins.
        change: what is to be done.
        place: where an added row was found, so that it is added once.

    Raises:
        ValidationError: more changes wait than one version may be made of.
    """
    with transaction.atomic():
        waiting = PendingChange.objects.waiting(version, actor)
        document = change.model_dump(mode="json")
        if waiting.count() >= MAX_CHANGES:
            raise ValidationError(
                _("%(count)s changes wait already: make a version of them first.")
                % {"count": MAX_CHANGES},
                code="too_many_changes",
            )
        collected, _is_new = PendingChange.objects.update_or_create(
            version=version,
            author=actor,
            row_key=_row_key(change, place),
            defaults={"change": document, "revision": None},
        )
    return collected


def stored_change(pending: PendingChange) -> RowChange:
    """The change as a contract."""
    return _CHANGE.validate_json(json.dumps(pending.change))


def revision_start(
    *,
    base: DatasetVersion,
    actor: User,
    reason: str,
    appended: AppendedRows | None = None,
    same_id: str = "refuse",
    idempotency_key: str = "",
) -> Revision:
    """A run makes a version of `base` with the changes that the actor has collected for it.

    Args:
        base: stays as it is.
        actor: stands in the manifest.
        reason: as well.
        appended: whose rows come behind those of `base`; then without the collected changes.
        same_id: what becomes of an appended row whose id is taken.
        idempotency_key: makes a repeated request harmless (a form sent twice); "" for none.

    Raises:
        ValidationError: there is nothing to be changed, or too much at once.
        SpecError: the base was deleted, or it does not fit on the disk.
    """
    with transaction.atomic():
        lock_inputs(base.project.pk)
        pending: list[PendingChange] = []
        if appended is None:
            waiting = PendingChange.objects.waiting(base, actor)
            pending = list(waiting.select_for_update(of=("self",)))
            _refuse_what_is_no_revision(pending)
        spec = {
            "kind": "revise_dataset",
            "name": f"{base} +"[:200],
            "base": base.reference(),
            "changes": [found.change for found in pending],
            "append": None if appended is None else appended.reference,
            "same_id": same_id,
            "reason": reason,
            "author": actor.username,
            "source": base.description.source.model_dump(mode="json"),
        }
        run = run_create(
            project=base.project,
            actor=actor,
            spec=read_run_spec(json.dumps(spec)),
            idempotency_key=idempotency_key,
        )
        made_before = Revision.objects.filter(run=run).first()
        if made_before is not None:
            return made_before
        revision = Revision.objects.create(
            run=run,
            base=base,
            appended=None if appended is None else appended.run,
            reason=reason,
            created_by=actor,
        )
        PendingChange.objects.filter(pk__in=[found.pk for found in pending]).update(
            revision=revision
        )
        audit_record(
            actor=actor,
            action="dataset.revise",
            target=revision,
            details={"base": base.digest, "num_changes": len(pending)},
        )
    return revision


def _refuse_what_is_no_revision(pending: list[PendingChange]) -> None:
    if not pending:
        raise ValidationError(_("No change waits to be made."), code="no_changes")
    num_chars = sum(len(json.dumps(found.change)) for found in pending)
    if num_chars > MAX_CHANGES_CHARS:
        raise ValidationError(
            _(
                "The changes are too long for one version: take some of them back, or repair "
                "a file."
            ),
            code="changes_too_long",
        )


def _row_key(change: RowChange, place: str) -> str:
    if isinstance(change, ReplaceRow | DeleteRow):
        what = f"row {change.id}"
    elif isinstance(change, AddRow):
        what = f"add {place}"
    elif isinstance(change, MapValue):
        what = f"map {change.field} {change.value}"
    else:
        what = change.action
    return hashlib.sha256(what.encode()).hexdigest()

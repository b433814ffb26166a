"""A succeeded run's model becomes a checkpoint, in the transaction in which the run succeeds."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.db.models import Q
from django.urls import reverse

from pipeline.contracts.kinds import RunSpec
from pipeline.contracts.references import Reference
from pipeline.contracts.reports import Report
from studio.accounts.audit import audit_record
from studio.registry.models import BASE, Checkpoint, CheckpointParent, stored_path
from studio.runs.documents import run_document
from studio.runs.kinds import KINDS
from studio.runs.models import Run
from studio.runs.paths import attempt_dir

PARENT_FIELDS = ("model", "target")
"""Fields of a spec that name the model a new one is made from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parent:
    """A model that a spec names under `role`; the digest is empty where nobody knows it."""

    role: str
    path: Path
    digest: str


def publish_checkpoint(run: Run, report: Report) -> None:
    """The project has one more checkpoint, if `run` made a model, linked to those it came from.

    A parent that the registry does not know yet is a base model that the installation prepared; it
    is registered too, so that no lineage begins in the middle.
    """
    output = report.outputs.get("model")
    kind = KINDS[run.kind].checkpoint
    if output is None or kind is None:
        return
    # Parents first: a parent's id is always below its child's.
    parents = [
        (parent.role, _known_checkpoint(run, parent) or _register_base(run, parent))
        for parent in _parents(run_document(run).spec, report)
    ]
    facts = output.facts or {}
    num_parameters = facts.get("num_parameters")
    path = attempt_dir(run.pk, run.attempt) / output.path
    checkpoint = Checkpoint.objects.create(
        project_id=run.project_id,
        name=run.name,
        kind=kind.name,
        path=stored_path(path),
        digest=output.digest or "",
        facts=facts,
        num_parameters=num_parameters if isinstance(num_parameters, int) else None,
        run=run,
        attempt=run.attempt,
        created_by_id=run.created_by_id,
        license_note=run.spec.get("license_note", ""),
    )
    audit_record(
        actor=run.created_by,
        action="checkpoint.register",
        target=checkpoint,
        details={"digest": checkpoint.digest},
    )
    for role, parent in parents:
        CheckpointParent.objects.create(child=checkpoint, parent=parent, role=role)


def checkpoint_page(run: Run, report: Report) -> dict[str, str]:
    """The page of the checkpoint that the run made, unless it was deleted."""
    if "model" not in report.outputs:
        return {}
    made = Checkpoint.objects.live().filter(run=run, attempt=run.attempt)
    checkpoint = made.select_related("project").defer("facts").first()
    if checkpoint is None:
        return {}
    return {"model": reverse("registry:checkpoint", args=[checkpoint.project.slug, checkpoint.pk])}


def _parents(spec: RunSpec, report: Report) -> Iterator[Parent]:
    """Each parent with the digest that the spec asked for, or that the run found."""
    for role in PARENT_FIELDS:
        reference = getattr(spec, role, None)
        if isinstance(reference, Reference) and reference.path is not None:
            digest = reference.digest or report.inputs.get(role, "")
            yield Parent(role=role, path=Path(reference.path), digest=digest)


def _known_checkpoint(run: Run, parent: Parent) -> Checkpoint | None:
    """By its path, else by its digest: the same content may have been imported twice."""
    same = Q(path=stored_path(parent.path))
    if parent.digest:
        same |= Q(digest=parent.digest)
    found = list(Checkpoint.objects.filter(same, project_id=run.project_id).order_by("pk"))
    by_path = [one for one in found if one.path == stored_path(parent.path)]
    return next(iter(by_path or found), None)


def _register_base(run: Run, parent: Parent) -> Checkpoint:
    # Two runs on the same base may succeed at once; the second must not fail for that.
    checkpoint, is_new = Checkpoint.objects.get_or_create(
        project_id=run.project_id,
        path=stored_path(parent.path),
        defaults={
            "name": parent.path.name,
            "kind": BASE.name,
            "digest": parent.digest,
            "created_by_id": run.created_by_id,
        },
    )
    if is_new:
        audit_record(actor=run.created_by, action="checkpoint.register", target=checkpoint)
    return checkpoint

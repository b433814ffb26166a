"""What people do to runs and plans. Each call is one transaction with its audit event."""

import json
from pathlib import Path
from typing import TypeVar

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from pipeline.contracts.codec import canonical_json, digest
from pipeline.contracts.kinds import RunSpec
from pipeline.contracts.plans import execution_order, step_dependencies
from pipeline.contracts.specs import PlanSpec, parse_run_spec, parse_spec
from pipeline.errors import RunStateError, SpecError
from studio.accounts.audit import audit_record
from studio.accounts.models import Project, User
from studio.runs import plans
from studio.runs.inputs import refuse_foreign_runs, spec_paths
from studio.runs.kinds import KINDS
from studio.runs.models import Plan, Run
from studio.runs.states import RunState
from studio.runs.transitions import move, outbox_add

RunOrPlan = TypeVar("RunOrPlan", Run, Plan)


def run_create(
    *,
    project: Project,
    actor: User,
    spec: str | bytes,
    name: str = "",
    idempotency_key: str = "",
    cloned_from: Run | None = None,
) -> Run:
    """A run of `spec` is queued; the run made before, if the key was used before.

    Args:
        project: where the run belongs; the caller has checked the user's role in it.
        actor: who asked.
        spec: JSON document of one run.
        name: label; the spec's own name, or its kind, when empty.
        idempotency_key: makes a repeated request harmless (a form sent twice); "" for none.
        cloned_from: the run whose spec was the template.

    Raises:
        SpecError: the spec is invalid, names a path outside the platform's folders, something
            deleted or of another project, or the key was used for another spec.
    """
    parsed = _checked(parse_run_spec(spec), project)
    label = name or parsed.name or parsed.kind
    existing = _keyed(Run, project, idempotency_key, digest(parsed))
    if existing is not None:
        return existing
    try:
        with transaction.atomic():
            run = _insert_run(
                project=project,
                actor=actor,
                spec=parsed,
                name=label,
                idempotency_key=idempotency_key,
                cloned_from=cloned_from,
            )
            outbox_add(run)
            audit_record(actor=actor, action="run.create", target=run, details={"kind": run.kind})
    except IntegrityError:
        # The same form arrived twice at once and the other request won.
        existing = _keyed(Run, project, idempotency_key, digest(parsed))
        if existing is None:
            raise
        return existing
    return run


def run_cancel(*, run: Run, actor: User) -> Run:
    """The run is cancelled, or will be once its child has saved; an ended run stays as it is."""
    with transaction.atomic():
        this = Run.objects.filter(pk=run.pk)
        request = {"cancel_requested_at": Now(), "cancel_requested_by": actor}
        not_started = this.filter(state__in=(RunState.WAITING, RunState.QUEUED))
        # Tried again at the end, because a worker may claim the run between the first two.
        asked = (
            move(this, RunState.CANCELLING, **request)
            or move(not_started, RunState.CANCELLED, **request)
            or move(this, RunState.CANCELLING, **request)
        )
        if asked:
            audit_record(actor=actor, action="run.cancel", target=run)
            if run.plan_id is not None:
                plans.advance(run.plan_id)
    run.refresh_from_db()
    return run


def run_clone(*, run: Run, actor: User, name: str = "", idempotency_key: str = "") -> Run:
    """The same spec is queued as a new run that starts from nothing."""
    return run_create(
        project=run.project,
        actor=actor,
        spec=json.dumps(run.spec),
        name=name or run.name,
        idempotency_key=idempotency_key,
        cloned_from=run,
    )


def run_resume(*, run: Run, actor: User) -> Run:
    """A new run continues the ended one from its newest whole checkpoint; asking twice is once.

    A step of a plan is resumed with its plan: see `plan_restart`.

    Raises:
        RunStateError: `run.not_resumable`, the run has not failed or been cancelled.
        SpecError: something the run reads was deleted since.
    """
    with transaction.atomic():
        run = Run.objects.select_for_update(of=("self",)).get(pk=run.pk)
        if not run.is_resumable:
            raise RunStateError(
                "run.not_resumable",
                _("%(run)s has not failed or been cancelled, so there is nothing to resume.")
                % {"run": run.name},
            )
        continuation = Run.objects.filter(continues=run).first()
        if continuation is not None:
            return continuation
        if run.plan is not None:
            plan_restart(plan=run.plan, actor=actor)
            return Run.objects.get(continues=run)
        spec = _checked(parse_run_spec(json.dumps(run.spec)), run.project)
        continuation = _continue(run, spec, actor=actor, state=RunState.QUEUED)
        outbox_add(continuation)
        audit_record(actor=actor, action="run.resume", target=continuation)
        return continuation


def plan_create(
    *, project: Project, actor: User, spec: str | bytes, name: str = "", idempotency_key: str = ""
) -> Plan:
    """One run for each step exists; those that need no other step are queued.

    Raises:
        SpecError: the document is not a plan, has a cycle, names an unknown step or a path outside
            the platform's folders, or the key was used for another plan.
    """
    parsed = parse_spec(spec)
    if not isinstance(parsed, PlanSpec):
        raise SpecError("spec.invalid", f"kind: a plan was expected, got {parsed.kind!r}")
    order = execution_order(parsed)
    for step in order:
        _checked(step.spec, project)
    existing = _keyed(Plan, project, idempotency_key, digest(parsed))
    if existing is not None:
        return existing
    with transaction.atomic():
        plan = Plan.objects.create(
            project=project,
            name=name or parsed.name or "plan",
            spec=_document(parsed),
            spec_digest=digest(parsed),
            idempotency_key=idempotency_key,
            created_by=actor,
        )
        for step in order:
            _insert_run(
                project=project,
                actor=actor,
                spec=step.spec,
                name=step.spec.name or step.id,
                state=RunState.WAITING,
                plan=plan,
                step_id=step.id,
                needs=list(step_dependencies(step)),
            )
        audit_record(
            actor=actor, action="plan.create", target=plan, details={"num_steps": len(order)}
        )
        plans.advance(plan.pk)
    return plan


def plan_cancel(*, plan: Plan, actor: User) -> None:
    """No step will start any more; running ones save a checkpoint and stop."""
    with transaction.atomic():
        # Last steps first, or ending a step would cancel its successors for a lesser reason.
        for run in plan.runs.current_steps().unfinished().order_by("-created_at", "-pk"):
            run_cancel(run=run, actor=actor)


def plan_restart(*, plan: Plan, actor: User) -> None:
    """Every step that failed or was cancelled has a new run that continues it; results are kept."""
    with transaction.atomic():
        Plan.objects.select_for_update().get(pk=plan.pk)
        # The plan's own specs: references are resolved anew, because an earlier step that runs
        # again writes to another directory.
        specs = {step.id: step.spec for step in plans.plan_spec(plan).steps}
        ended_badly = [run for run in plan.runs.current_steps() if run.is_resumable]
        for run in ended_badly:
            _continue(run, specs[run.step_id], actor=actor, state=RunState.WAITING)
        if ended_badly:
            audit_record(
                actor=actor,
                action="plan.restart",
                target=plan,
                details={"num_steps": len(ended_badly)},
            )
            plans.advance(plan.pk)


def _insert_run(
    *, spec: RunSpec, actor: User, state: RunState = RunState.QUEUED, **columns: object
) -> Run:
    return Run.objects.create(
        kind=spec.kind,
        spec=_document(spec),
        spec_digest=digest(spec),
        queue=KINDS[spec.kind].queue,
        state=state,
        created_by=actor,
        **columns,
    )


def _continue(run: Run, spec: RunSpec, *, actor: User, state: RunState) -> Run:
    return _insert_run(
        project=run.project,
        actor=actor,
        spec=spec,
        state=state,
        name=run.name,
        plan=run.plan,
        step_id=run.step_id,
        needs=run.needs,
        continues=run,
    )


def _keyed(
    model: type[RunOrPlan], project: Project, key: str, spec_digest: str
) -> RunOrPlan | None:
    """What the key made before."""
    if not key:
        return None
    existing = model.objects.filter(project=project, idempotency_key=key).first()
    if existing is not None and existing.spec_digest != spec_digest:
        raise SpecError(
            "spec.invalid",
            _("The same form has already started %(name)s with other settings; open it anew.")
            % {"name": existing.name},
        )
    return existing


def _document(spec: RunSpec | PlanSpec) -> dict[str, object]:
    document: dict[str, object] = json.loads(canonical_json(spec))
    return document


def _checked(spec: RunSpec, project: Project) -> RunSpec:
    """`spec`, after everything it names was found to be there for runs of the project.

    The apps that own data sets and checkpoints refuse what was deleted or belongs to others:
    `settings.STUDIO_RUN_CHECKS`.
    """
    document = _document(spec)
    roots = [Path(root).resolve() for root in settings.STUDIO_INPUT_ROOTS]
    for location, path in spec_paths(document):
        resolved = Path(path).resolve()
        if not any(resolved.is_relative_to(root) for root in roots):
            raise SpecError(
                "spec.path_not_allowed",
                _(
                    "%(location)s: the path is outside the folders a run may read; choose a data "
                    "set or checkpoint of the project"
                )
                % {"location": location},
            )
    refuse_foreign_runs(project, document)
    for dotted in settings.STUDIO_RUN_CHECKS:
        import_string(dotted)(project, document)
    return spec

"""What people do to runs and plans. Each call is one transaction with its audit event."""

from typing import TypeVar

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from pipeline.contracts.documents import SpecDocument, spec_document
from pipeline.contracts.kinds import RunSpec
from pipeline.contracts.plans import execution_order, step_dependencies
from pipeline.contracts.references import named_references
from pipeline.contracts.specs import PlanSpec
from pipeline.errors import RunStateError, SpecError
from studio.accounts.audit import audit_record
from studio.accounts.models import Project, User
from studio.runs import plans
from studio.runs.disk import refuse_what_never_fits
from studio.runs.documents import plan_document, run_document, stored_columns
from studio.runs.input_lock import lock_inputs
from studio.runs.inputs import refuse_unknown_inputs
from studio.runs.kinds import KINDS
from studio.runs.models import Outbox, Plan, Run
from studio.runs.states import RunState
from studio.runs.transitions import move, outbox_add

RunOrPlan = TypeVar("RunOrPlan", Run, Plan)


def run_create(
    *,
    project: Project,
    actor: User,
    spec: SpecDocument[RunSpec],
    name: str = "",
    idempotency_key: str = "",
    cloned_from: Run | None = None,
) -> Run:
    """A run of `spec` is queued; the run made before, if the key was used before.

    Args:
        project: where the run belongs; the caller has checked the user's role in it.
        actor: who asked.
        spec: what it is to do.
        name: label; the spec's own name, or its kind, when empty.
        idempotency_key: makes a repeated request harmless (a form sent twice); "" for none.
        cloned_from: the run whose spec was the template.

    Raises:
        SpecError: the spec names a path that is none of an object of the project, something
            deleted or another step's output, the run cannot fit on the disk, or the key was used
            for another spec.
    """
    _refuse_steps(spec)
    with transaction.atomic():
        lock_inputs(project.pk)
        _check(spec, project)
        existing = _keyed(Run, project, idempotency_key, spec.digest)
        if existing is not None:
            return existing
        refuse_what_never_fits([spec.spec])
        run = _insert_run(
            project=project,
            actor=actor,
            document=spec,
            name=name or spec.spec.name or spec.spec.kind,
            idempotency_key=idempotency_key,
            cloned_from=cloned_from,
        )
        outbox_add(run)
        audit_record(actor=actor, action="run.create", target=run, details={"kind": run.kind})
    return run


def run_cancel(*, run: Run, actor: User) -> Run:
    """The run is cancelled, or will be once its child has saved; an ended run stays as it is."""
    with transaction.atomic():
        plans.lock_plan(run.pk)
        this = Run.objects.filter(pk=run.pk)
        request = {"cancel_requested_at": Now(), "cancel_requested_by": actor}
        not_started = this.filter(state__in=(RunState.WAITING, RunState.QUEUED))
        # A worker must neither claim nor lose it between the two.
        list(this.select_for_update().values_list("pk"))
        asked = move(this, RunState.CANCELLING, **request) or move(
            not_started, RunState.CANCELLED, **request
        )
        if asked:
            Outbox.objects.filter(run=run).delete()
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
        spec=run_document(run),
        name=name or run.name,
        idempotency_key=idempotency_key,
        cloned_from=run,
    )


def run_resume(*, run: Run, actor: User) -> Run:
    """A new run continues the ended one from its newest whole checkpoint; asking twice is once.

    A step of a plan is resumed with its plan: see `plan_restart`.

    Raises:
        RunStateError: `run.not_resumable`, the run has not failed or been cancelled.
        SpecError: something the run reads was deleted since, or it cannot fit on the disk.
    """
    with transaction.atomic():
        lock_inputs(run.project_id)
        run = Run.objects.get(pk=run.pk)  # as whoever held the lock before has left it
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
        document = run_document(run)
        _check(document, run.project)
        refuse_what_never_fits([document.spec])
        continuation = _continue(run, document, actor=actor, state=RunState.QUEUED)
        outbox_add(continuation)
        audit_record(actor=actor, action="run.resume", target=continuation)
        return continuation


def plan_create(
    *,
    project: Project,
    actor: User,
    spec: SpecDocument[PlanSpec],
    name: str = "",
    idempotency_key: str = "",
) -> Plan:
    """One run for each step exists; those that need no other step are queued.

    Raises:
        SpecError: the plan has a cycle, names an unknown step or a path that is none of an object
            of the project, its runs cannot fit on the disk, or the key was used for another plan.
    """
    steps = [(step, spec_document(step.spec)) for step in execution_order(spec.spec)]
    with transaction.atomic():
        lock_inputs(project.pk)
        for _step, document in steps:
            _check(document, project)
        existing = _keyed(Plan, project, idempotency_key, spec.digest)
        if existing is not None:
            return existing
        refuse_what_never_fits([document.spec for _step, document in steps])
        plan = Plan.objects.create(
            project=project,
            name=name or spec.spec.name or "plan",
            idempotency_key=idempotency_key,
            created_by=actor,
            **stored_columns(spec),
        )
        for step, document in steps:
            _insert_run(
                project=project,
                actor=actor,
                document=document,
                name=step.spec.name or step.id,
                state=RunState.WAITING,
                plan=plan,
                step_id=step.id,
                needs=list(step_dependencies(step)),
            )
        audit_record(
            actor=actor, action="plan.create", target=plan, details={"num_steps": len(steps)}
        )
        plans.advance(plan.pk)
    return plan


def plan_cancel(*, plan: Plan, actor: User) -> None:
    """No step will start any more; running ones save a checkpoint and stop."""
    with transaction.atomic():
        unfinished = {run.step_id: run for run in plan.runs.current_steps().unfinished()}
        # Last steps first, or ending a step would cancel its successors for a lesser reason. The
        # order is the plan's: a restart makes runs in another.
        for step in reversed(execution_order(plan_document(plan).spec)):
            if step.id in unfinished:
                run_cancel(run=unfinished[step.id], actor=actor)


def plan_restart(*, plan: Plan, actor: User) -> None:
    """Every step that failed or was cancelled has a new run that continues it; results are kept.

    Raises:
        SpecError: something that one of these steps reads was deleted since.
    """
    with transaction.atomic():
        lock_inputs(plan.project_id)
        Plan.objects.select_for_update().get(pk=plan.pk)
        # The plan's own specs: references are resolved anew, because an earlier step that runs
        # again writes to another directory.
        specs = {step.id: step.spec for step in plan_document(plan).spec.steps}
        ended_badly = [run for run in plan.runs.current_steps() if run.is_resumable]
        for run in ended_badly:
            document = spec_document(specs[run.step_id])
            _check(document, run.project)
            _continue(run, document, actor=actor, state=RunState.WAITING)
        if ended_badly:
            audit_record(
                actor=actor,
                action="plan.restart",
                target=plan,
                details={"num_steps": len(ended_badly)},
            )
            plans.advance(plan.pk)


def _insert_run(
    *,
    document: SpecDocument[RunSpec],
    actor: User,
    state: RunState = RunState.QUEUED,
    **columns: object,
) -> Run:
    kind = KINDS[document.spec.kind]
    return Run.objects.create(
        kind=kind.name,
        queue=kind.queue,
        state=state,
        created_by=actor,
        **stored_columns(document),
        **columns,
    )


def _continue(run: Run, document: SpecDocument[RunSpec], *, actor: User, state: RunState) -> Run:
    return _insert_run(
        project=run.project,
        actor=actor,
        document=document,
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


def _check(document: SpecDocument[RunSpec], project: Project) -> None:
    """Everything that the spec names is there for runs of the project.

    Raises:
        SpecError: as `refuse_unknown_inputs`.
    """
    refuse_unknown_inputs(project, document.spec)


def _refuse_steps(document: SpecDocument[RunSpec]) -> None:
    """A run outside a plan waits for no step."""
    for location, reference in named_references(document.spec):
        if reference.from_step is not None:
            raise SpecError(
                "spec.unresolved_reference",
                _("%(location)s: only a step of a plan can name another step's output")
                % {"location": f"{location}.from_step"},
            )

"""Steps of a plan become runnable, or pointless, when the steps before them end."""

from uuid import UUID

from pipeline.contracts.documents import spec_document
from pipeline.contracts.kinds import RunSpec
from pipeline.contracts.plans import resolve_references
from pipeline.contracts.specs import Gate
from pipeline.errors import SpecError
from studio.runs.documents import plan_document, run_document, stored_columns
from studio.runs.models import Plan, Run
from studio.runs.paths import attempt_dir
from studio.runs.reports import run_report
from studio.runs.states import RunState
from studio.runs.transitions import enqueue, move

STEP_NOT_REACHED = "plan.step_not_reached"


def step_gates(run: Run) -> tuple[Gate, ...]:
    """Conditions on the run's report; none for a run outside a plan."""
    if run.plan is None:
        return ()
    return next(step.gates for step in plan_document(run.plan).spec.steps if step.id == run.step_id)


def lock_plan(run_id: UUID) -> None:
    """Until the transaction ends, no other step of the run's plan ends or is cancelled.

    Called before the first of the plan's runs is changed. Plan first, then runs: two transactions
    that took them in different orders would wait for each other.
    """
    plan_id = Run.objects.filter(pk=run_id).values("plan_id")
    list(Plan.objects.select_for_update().filter(pk__in=plan_id).values_list("pk"))


def advance(plan_id: UUID) -> None:
    """Every waiting step that can be decided is queued, cancelled or failed.

    Called in the transaction in which a step ended, which holds the plan's lock: of two steps that
    end at once the second sees the first.
    """
    steps = Run.objects.filter(plan_id=plan_id).current_steps()
    runs = {run.step_id: run for run in steps.defer("report")}
    changed = True
    while changed:
        changed = False
        for run in runs.values():
            if run.state == RunState.WAITING and _decide(run, runs):
                run.refresh_from_db(fields=["state"])
                changed = True


def _decide(run: Run, runs: dict[str, Run]) -> bool:
    """True when `run` could leave the waiting state."""
    needed = [runs[step_id] for step_id in run.needs]
    ended_badly = [other for other in needed if other.is_resumable]
    this = Run.objects.filter(pk=run.pk)
    if ended_badly:
        blocker = ended_badly[0]
        return move(
            this,
            RunState.CANCELLED,
            error_code=STEP_NOT_REACHED,
            error_message=f"step {blocker.step_id!r} {blocker.state}, so this step did not start",
        )
    if any(other.state != RunState.SUCCEEDED for other in needed):
        return False
    try:
        spec = _resolved(run, needed)
    except SpecError as exc:
        return move(this, RunState.FAILED, error_code=exc.code, error_message=str(exc))
    return enqueue(this, **stored_columns(spec_document(spec)))


def _resolved(run: Run, needed: list[Run]) -> RunSpec:
    outputs = {}
    for other in Run.objects.filter(pk__in=[run.pk for run in needed]):
        directory = attempt_dir(other.pk, other.attempt)
        report = run_report(other)
        for name, output in (report.outputs if report else {}).items():
            outputs[other.step_id, name] = (str(directory / output.path), output.digest)
    return resolve_references(run_document(run).spec, outputs)

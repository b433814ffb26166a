"""A queued run starts only while whoever asked for it may still ask for it.

Asked twice: when a worker takes the run (`run_refuse`), and when the person's rights change
(`runs_review`), so that a right that comes back does not start what was ended. A run that is
running is left alone: its work was begun rightly, stopping it is a decision for people, and when it
is queued again after a loss or a drain it is asked about again.
"""

from uuid import UUID

from studio.accounts.audit import audit_record
from studio.accounts.models import Project, Role, User
from studio.accounts.rights import role_in
from studio.runs import plans
from studio.runs.kinds import ENGINEERS, KINDS
from studio.runs.models import Outbox, Run
from studio.runs.querysets import RunQuerySet
from studio.runs.states import RunState
from studio.runs.transitions import move

RIGHT_ENDED = "run.right_ended"


def may_start(user: User, project: Project, kind: str) -> bool:
    """Whether `user` may have a run of this kind started in the project now."""
    role = role_in(user, project)
    known = KINDS.get(kind)
    starters = known.starters if known else ENGINEERS
    return role is not None and (role == Role.ADMIN or role in starters)


def run_refuse(run_id: UUID) -> bool:
    """The queued run is cancelled, if the right it was started by has ended; False if it holds.

    In the transaction in which a worker would claim it.
    """
    return _cancel_without_right(_not_started().filter(pk=run_id)) == 1


def runs_review(user: User) -> int:
    """What `user` started, has not begun and they may no longer start is cancelled; how many.

    One of `settings.STUDIO_RIGHT_ENDERS`, in the transaction that changed the rights.
    """
    return _cancel_without_right(_not_started().filter(created_by=user))


def _not_started() -> RunQuerySet:
    runs = Run.objects.filter(state__in=(RunState.WAITING, RunState.QUEUED))
    return runs.select_related("created_by", "project").defer("spec", "report")


def _cancel_without_right(runs: RunQuerySet) -> int:
    without = sorted((run for run in runs if not _may_start(run)), key=lambda run: run.plan_id or 0)
    for run in without:
        plans.lock_plan(run.pk)
    ended = [run for run in without if _cancel(run)]
    # Afterwards, or ending a step would cancel its successors for a lesser reason.
    for plan_id in {run.plan_id for run in ended if run.plan_id is not None}:
        plans.advance(plan_id)
    return len(ended)


def _may_start(run: Run) -> bool:
    return may_start(run.created_by, run.project, run.kind)


def _cancel(run: Run) -> bool:
    """False when a worker was quicker."""
    message = (
        f"{run.created_by.username} may no longer start this kind of run in {run.project.name} "
        "(role changed, removed from the project, or account disabled), so it did not start. "
        "Somebody who may can resume or copy it"
    )
    this = Run.objects.filter(pk=run.pk)
    if not move(this, RunState.CANCELLED, error_code=RIGHT_ENDED, error_message=message):
        return False
    Outbox.objects.filter(run=run).delete()
    audit_record(
        actor=None,
        action="run.right_ended",
        target=run,
        details={"started_by": run.created_by.username},
    )
    return True

"""The state machine of a run. Every change of `Run.state` goes through `move`.

        waiting --> queued <--> running --> succeeded | failed
           |          |            |
           |          |            `--> cancelling --> cancelled | succeeded | failed
           `----------`--> cancelled | failed

A run that was finishing while its cancellation was asked for may still succeed or fail. Terminal
states have no way out: resuming an ended run makes a new run that continues it.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from studio.runs.models import Outbox, Run
from studio.runs.querysets import RunQuerySet
from studio.runs.states import ACTIVE_STATES, TERMINAL_STATES, RunState

TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.WAITING: frozenset({RunState.QUEUED, RunState.CANCELLED, RunState.FAILED}),
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.CANCELLED, RunState.FAILED}),
    RunState.RUNNING: frozenset(
        {RunState.QUEUED, RunState.CANCELLING, RunState.SUCCEEDED, RunState.FAILED}
    ),
    RunState.CANCELLING: frozenset({RunState.CANCELLED, RunState.SUCCEEDED, RunState.FAILED}),
    RunState.SUCCEEDED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
}


def db_time_after(seconds: float) -> Combinable:
    """The database's clock, `seconds` from now: machines' own clocks may disagree."""
    return ExpressionWrapper(
        Now() + Value(timedelta(seconds=seconds), output_field=DurationField()),
        output_field=DateTimeField(),
    )


def move(runs: RunQuerySet, to: RunState, **changes: object) -> bool:
    """The one run that `runs` selects is in state `to`, if an edge leads there from its state.

    One conditional UPDATE: of two callers that race for the same edge exactly one gets True. The
    lease, the owner and the time of the end follow from the state.
    """
    sources = [state for state, targets in TRANSITIONS.items() if to in targets]
    if to not in ACTIVE_STATES:
        changes |= {"lease_expires_at": None, "owner": ""}
    if to in TERMINAL_STATES:
        changes["finished_at"] = Now()
    return runs.filter(state__in=sources).update(state=to, **changes) == 1


def enqueue(runs: RunQuerySet, **changes: object) -> bool:
    """The one run that `runs` selects is queued and its wake-up message will be sent.

    In the caller's transaction, so that neither can exist without the other.
    """
    if transaction.get_autocommit():
        raise RuntimeError("enqueue outside a transaction would allow a run without a message")
    run_ids = list(runs.values_list("pk", flat=True))
    if not move(runs, RunState.QUEUED, **changes):
        return False
    outbox_add(Run.objects.get(pk=run_ids[0]))
    return True


def outbox_add(run: Run) -> None:
    """The dispatcher will send the run's wake-up message at its next look."""
    Outbox.objects.update_or_create(run=run, defaults={"sent_at": None, "times_sent": 0})

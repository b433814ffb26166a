"""Guards of what workers call: the fence, claims, ends and losses."""

from bench.mutations.guard import LIFECYCLE, Guard

LIFECYCLE_GUARDS = (
    # --- the fence -------------------------------------------------------------------------
    Guard(
        name="a write names the newest attempt",
        path=f"{LIFECYCLE}/fence.py",
        code="pk=run_id, attempt=attempt,",
        without="pk=run_id,",
    ),
    Guard(
        name="a write needs an active run",
        path=f"{LIFECYCLE}/fence.py",
        code=", state__in=ACTIVE_STATES",
    ),
    # --- claim -----------------------------------------------------------------------------
    Guard(
        name="a claim gives up what the slot held",
        path=f"{LIFECYCLE}/claims.py",
        code="    with transaction.atomic():\n        slot_abandon(slot)\n",
        without="    with transaction.atomic():\n",
    ),
    Guard(
        name="a claim is for the worker's own queue",
        path=f"{LIFECYCLE}/claims.py",
        code="                queue=queue,\n                cancel",
        without="                cancel",
    ),
    Guard(
        name="a run whose end was asked for is not claimed",
        path=f"{LIFECYCLE}/claims.py",
        code="                cancel_requested_at=None,\n                num_lost",
        without="                num_lost",
    ),
    Guard(
        name="a run without attempts left is not claimed",
        path=f"{LIFECYCLE}/claims.py",
        code='                num_lost__lt=F("max_attempts"),\n',
    ),
    Guard(
        name="a claim makes a new attempt number",
        path=f"{LIFECYCLE}/claims.py",
        code='            attempt=F("attempt") + 1,\n',
    ),
    Guard(
        name="a claim removes the message",
        path=f"{LIFECYCLE}/claims.py",
        code="        Outbox.objects.filter(run=run).delete()\n",
    ),
    Guard(
        name="only an attempt that has not ended starts",
        path=f"{LIFECYCLE}/claims.py",
        code="number=attempt, state__in=LIVE_ATTEMPT_STATES",
        without="number=attempt",
    ),
    Guard(
        name="only a cancelling run is told to stop",
        path=f"{LIFECYCLE}/claims.py",
        code=".filter(state=RunState.CANCELLING)",
    ),
    # --- ends ------------------------------------------------------------------------------
    Guard(
        name="a lost run that was to be cancelled is cancelled",
        path=f"{LIFECYCLE}/ends.py",
        code="    if end(run_id, attempt, RunState.CANCELLED):\n        return True\n",
    ),
    Guard(
        name="attempts are counted down",
        path=f"{LIFECYCLE}/ends.py",
        code='.filter(num_lost__lt=F("max_attempts") - 1)',
    ),
    Guard(
        name="a loss is counted",
        path=f"{LIFECYCLE}/ends.py",
        code='enqueue(again, num_lost=F("num_lost") + 1)',
        without="enqueue(again)",
    ),
    Guard(
        name="the plan hears of an end",
        path=f"{LIFECYCLE}/ends.py",
        code="    settle(Run.objects.get(pk=run_id))\n",
    ),
    Guard(
        name="a report that fails its gate fails the run",
        path=f"{LIFECYCLE}/finish.py",
        code="            check_gates(run.step_id, plans.step_gates(run), report)\n",
        without="            pass\n",
    ),
    Guard(
        name="only a run that succeeded is published",
        path=f"{LIFECYCLE}/finish.py",
        code="if run.state == RunState.SUCCEEDED:",
        without="if True:",
    ),
    Guard(
        name="the plan hears of a success",
        path=f"{LIFECYCLE}/finish.py",
        code="        settle(run)\n",
    ),
    Guard(
        name="a failure of a stale attempt is refused",
        path=f"{LIFECYCLE}/finish.py",
        code="            return False\n        end_attempt(run_id, attempt, AttemptState.FAILED",
        without="            pass\n        end_attempt(run_id, attempt, AttemptState.FAILED",
    ),
    Guard(
        name="only what another attempt may mend is tried again",
        path=f"{LIFECYCLE}/finish.py",
        code="if is_retryable:",
        without="if True:",
    ),
    Guard(
        name="a stop of a stale attempt is refused",
        path=f"{LIFECYCLE}/finish.py",
        code="            return False\n        end_attempt(run_id, attempt, AttemptState.STOPPED",
        without="            pass\n        end_attempt(run_id, attempt, AttemptState.STOPPED",
    ),
    Guard(
        name="a stopped run that was to be cancelled is cancelled",
        path=f"{LIFECYCLE}/finish.py",
        code="return end(run_id, attempt, RunState.CANCELLED) or enqueue(",
        without="return enqueue(",
    ),
    Guard(
        name="a report and its publication are one transaction",
        path=f"{LIFECYCLE}/finish.py",
        code="for publish in _publishers():\n                publish(run, report)\n",
        without="transaction.on_commit(lambda: [p(run, report) for p in _publishers()])\n",
    ),
    # --- losses ----------------------------------------------------------------------------
    Guard(
        name="a loss of a stale attempt is refused",
        path=f"{LIFECYCLE}/losses.py",
        code="            return False\n        end_attempt(run_id, attempt, AttemptState.LOST",
        without="            pass\n        end_attempt(run_id, attempt, AttemptState.LOST",
    ),
    Guard(
        name="a slot gives up its own runs only",
        path=f"{LIFECYCLE}/losses.py",
        code="Run.objects.active().filter(owner=slot)",
        without="Run.objects.active()",
    ),
    Guard(
        name="the reaper takes expired leases only",
        path=f"{LIFECYCLE}/losses.py",
        code="Run.objects.active().filter(lease_expires_at__lt=Now())",
        without="Run.objects.active()",
    ),
    Guard(
        name="a lease renewed meanwhile is not reaped",
        path=f"{LIFECYCLE}/losses.py",
        code="held(run_id, attempt).filter(lease_expires_at__lt=Now())",
        without="held(run_id, attempt)",
    ),
    Guard(
        name="a lease from the future is cut to one term",
        path=f"{LIFECYCLE}/losses.py",
        code="    Run.objects.active().filter(lease_expires_at__gt=longest)",
        without="    Run.objects.none()",
    ),
)

"""Guards of the state machine, of events and messages, and of what people call."""

from bench.mutations.guard import LIFECYCLE, RUNS, Guard

RUN_GUARDS = (
    # --- edges of the state machine ---------------------------------------------------------
    Guard(
        name="a run moves along an edge only",
        path=f"{RUNS}/transitions.py",
        code="runs.filter(state__in=sources)",
        without="runs",
    ),
    Guard(
        name="terminal states have no way out",
        path=f"{RUNS}/transitions.py",
        code="RunState.FAILED: frozenset(),",
        without="RunState.FAILED: frozenset({RunState.QUEUED}),",
    ),
    Guard(
        name="a cancelling run is not queued again",
        path=f"{RUNS}/transitions.py",
        code="RunState.CANCELLING: frozenset({RunState.CANCELLED,",
        without="RunState.CANCELLING: frozenset({RunState.QUEUED, RunState.CANCELLED,",
    ),
    Guard(
        name="the lease ends with the hold",
        path=f"{RUNS}/transitions.py",
        code='changes |= {"lease_expires_at": None, "owner": ""}',
        without="pass",
    ),
    Guard(
        name="a terminal run has its end",
        path=f"{RUNS}/transitions.py",
        code='changes["finished_at"] = Now()',
        without="pass",
    ),
    Guard(
        name="what is queued gets a message",
        path=f"{RUNS}/transitions.py",
        code="    outbox_add(Run.objects.get(pk=run_ids[0]))\n",
    ),
    Guard(
        name="queueing needs a transaction",
        path=f"{RUNS}/transitions.py",
        code="if transaction.get_autocommit():",
        without="if False:",
    ),
    # --- events and messages ---------------------------------------------------------------
    Guard(
        name="an event of another attempt is left out",
        path=f"{LIFECYCLE}/ingest.py",
        code="if event.run_id != str(run_id) or event.attempt != attempt:",
        without="if False:",
    ),
    Guard(
        name="an event is stored once",
        path=f"{LIFECYCLE}/ingest.py",
        code="            ignore_conflicts=True,\n",
    ),
    Guard(
        name="events of a stale attempt are refused",
        path=f"{LIFECYCLE}/ingest.py",
        code="            return False\n        if progress is not None:",
        without="            pass\n        if progress is not None:",
    ),
    Guard(
        name="a lost message is sent again",
        path=f"{RUNS}/outbox.py",
        code="never_sent | perhaps_lost, ",
        without="never_sent, ",
    ),
    Guard(
        name="a message from the future is sent again",
        path=f"{RUNS}/outbox.py",
        code=" | Q(sent_at__gt=Now())",
    ),
    # --- people ----------------------------------------------------------------------------
    Guard(
        name="a held run is asked to stop, not ended",
        path=f"{RUNS}/services.py",
        code="asked = move(this, RunState.CANCELLING, **request) or move(",
        without="asked = move(",
    ),
    Guard(
        name="a run that is cancelled is locked",
        path=f"{RUNS}/services.py",
        code='list(this.select_for_update().values_list("pk"))',
        without="pass",
        is_race=True,
    ),
    Guard(
        name="only what ended badly is resumed",
        path=f"{RUNS}/services.py",
        code="if not run.is_resumable:",
        without="if False:",
    ),
    Guard(
        name="asking twice to resume is once",
        path=f"{RUNS}/services.py",
        code="        if continuation is not None:\n            return continuation\n",
    ),
    Guard(
        name="a restarted plan is locked",
        path=f"{RUNS}/services.py",
        code="        Plan.objects.select_for_update().get(pk=plan.pk)\n",
        is_race=True,
    ),
    Guard(
        name="starts in a project are one after the other",
        path=f"{RUNS}/input_lock.py",
        code='    Project.objects.select_for_update(no_key=True).only("pk").get(pk=project_id)\n',
        is_race=True,
    ),
    Guard(
        name="an attempt that writes several rows has its run locked",
        path=f"{LIFECYCLE}/fence.py",
        code="held(run_id, attempt).select_for_update()",
        without="held(run_id, attempt)",
        is_race=True,
    ),
    Guard(
        name="a run whose lease has run out is locked",
        path=f"{LIFECYCLE}/losses.py",
        code="expired.select_for_update()",
        without="expired",
        is_race=True,
    ),
    Guard(
        name="a plan is locked before its steps",
        path=f"{RUNS}/plans.py",
        code="    list(Plan.objects.select_for_update()",
        without="    list(Plan.objects",
        is_race=True,
    ),
    Guard(
        name="a worker takes the run that waits longest",
        path=f"{LIFECYCLE}/claims.py",
        code='waiting.order_by("created_at", "pk")',
        without='waiting.order_by("-created_at", "pk")',
    ),
    Guard(
        name="a message spent on an older run is sent again",
        path=f"{LIFECYCLE}/claims.py",
        code="                Outbox.objects.filter(run_id=run_id).update(sent_at=None)\n",
        without="                pass\n",
    ),
    Guard(
        name="a step waits for all that it needs",
        path=f"{RUNS}/plans.py",
        code="if any(other.state != RunState.SUCCEEDED for other in needed):",
        without="if False:",
    ),
)

"""Whatever workers, the reaper and people do to runs, in any order: the database and the oracle
agree after every step. Stale attempts go on writing all the time, as paused supervisors would.

Never two live attempts, terminal states are never left, a report comes from the attempt that
finished, and whatever is queued has a message that will be sent.
"""

import json
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.db.models import F
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from pipeline.contracts.documents import SpecDocument, read_plan_spec, read_run_spec
from pipeline.contracts.events import Event, Progress
from pipeline.contracts.kinds import RunSpec
from pipeline.contracts.reports import Output, Report
from pipeline.contracts.specs import PlanSpec
from pipeline.errors import RunStateError
from studio.accounts.models import AuditEvent, Project, Role, User
from studio.runs import lifecycle, services
from studio.runs.models import Attempt, Outbox, Plan, Run
from studio.runs.outbox import outbox_due, outbox_sent
from studio.runs.states import LIVE_ATTEMPT_STATES
from tests.web import factories
from tests.web.lifecycle_oracle import Oracle, PlanModel, RunModel

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
SLOTS = ("machine/compute-0", "machine/compute-1", "elsewhere/compute-0")
NUM_STEPS = 3
EXAMPLES = 20
STEPS = 30
PUBLISHED: list[tuple[str, int]] = []


def publish(run: Run, _report: Report) -> None:
    """A publisher as `settings.STUDIO_RUN_PUBLISHERS` names them."""
    PUBLISHED.append((str(run.pk), run.attempt))


class Lifecycle(RuleBasedStateMachine):
    """Random histories of a few runs."""

    project: Project
    actor: User
    run_spec: SpecDocument[RunSpec]
    plan_spec: SpecDocument[PlanSpec]
    runs = Bundle("runs")
    plans = Bundle("plans")
    attempts = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        PUBLISHED.clear()
        self.oracle = Oracle()
        self.stored: dict[int, UUID] = {}
        self.published: list[tuple[str, int]] = []
        self.everything = transaction.atomic()
        self.everything.__enter__()
        self.num_audited = AuditEvent.objects.filter(action="run.cancel").count()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.everything.__exit__(None, None, None)

    # --- people ---------------------------------------------------------------------------

    @initialize(target=runs)
    def first_run(self) -> RunModel:
        return self._new_run()

    @rule(target=runs)
    def new_run(self) -> RunModel:
        return self._new_run()

    def _new_run(self) -> RunModel:
        stored = services.run_create(project=self.project, actor=self.actor, spec=self.run_spec)
        return self._know(self.oracle.new_run(), stored)

    @rule(target=plans)
    def new_plan(self) -> tuple[PlanModel, Plan]:
        stored = services.plan_create(project=self.project, actor=self.actor, spec=self.plan_spec)
        plan = self.oracle.new_plan(NUM_STEPS)
        self._know_steps(plan, stored)
        return plan, stored

    @rule(target=runs, plan=plans, step=st.integers(0, NUM_STEPS - 1))
    def look_at_step(self, plan: tuple[PlanModel, Plan], step: int) -> RunModel:
        return plan[0].steps[step]

    @rule(run=runs)
    def cancel(self, run: RunModel) -> None:
        services.run_cancel(run=self._stored(run), actor=self.actor)
        self.oracle.cancel(run)

    @rule(plan=plans)
    def cancel_plan(self, plan: tuple[PlanModel, Plan]) -> None:
        services.plan_cancel(plan=plan[1], actor=self.actor)
        for run in reversed(plan[0].steps):
            self.oracle.cancel(run)

    @rule(plan=plans)
    def restart_plan(self, plan: tuple[PlanModel, Plan]) -> None:
        services.plan_restart(plan=plan[1], actor=self.actor)
        self.oracle.restart(plan[0])
        self._know_steps(*plan)

    @rule(target=runs, run=runs)
    def resume(self, run: RunModel) -> Any:
        if not self.oracle.resume(run):
            with pytest.raises(RunStateError):
                services.run_resume(run=self._stored(run), actor=self.actor)
            return multiple()
        stored = services.run_resume(run=self._stored(run), actor=self.actor)
        assert run.continued_by is not None
        if run.plan is not None:
            self._know_steps(run.plan, stored.plan)
        self._know(run.continued_by, stored)
        return run.continued_by

    # --- messages and workers -------------------------------------------------------------

    @rule()
    def send_messages(self) -> None:
        for message in outbox_due(resend_seconds=60):
            outbox_sent(message)

    @rule(target=attempts, run=runs, slot=st.sampled_from(SLOTS))
    def claim(self, run: RunModel, slot: str) -> Any:
        """Also what a message sent twice does, or one for a run that has ended."""
        claimed = lifecycle.claim(self.stored[id(run)], slot=slot, queue="compute")
        assert (claimed is not None) == self.oracle.claim(run, slot)
        if claimed is None:
            return multiple()
        assert claimed.attempt == run.attempt
        return run, run.attempt

    @rule(run=runs)
    def claim_from_another_queue(self, run: RunModel) -> None:
        run_id = self.stored[id(run)]
        assert lifecycle.claim(run_id, slot="elsewhere/i-0", queue="other") is None

    @rule(held=attempts)
    def start(self, held: tuple[RunModel, int]) -> None:
        self._same(held, partial(lifecycle.attempt_started, pid=7, resumed_from=""), "start")

    @rule(held=attempts)
    def renew(self, held: tuple[RunModel, int]) -> None:
        self._same(held, lifecycle.renew, "renew")

    @rule(held=attempts, seq=st.integers(1, 3), attempt=st.none() | st.integers(1, 3))
    def ingest(self, held: tuple[RunModel, int], seq: int, attempt: int | None) -> None:
        """Repeated, late, and in lines that name another attempt."""
        run, holder = held
        written = attempt or holder
        event = Event(
            run_id=str(self.stored[id(run)]), attempt=written, seq=seq, kind="Progress",
            at="2026-01-01T00:00:00+00:00",
            payload=Progress(stage="s", done=seq, total=3, unit="x"),
        )  # fmt: skip
        lines = [event.model_dump_json().encode()]
        stored = lifecycle.ingest_events(self.stored[id(run)], holder, lines)
        if written == holder:
            assert stored == self.oracle.ingest(run, holder, seq)
        else:
            assert stored == run.is_held_by(holder)

    @rule(held=attempts, bits_per_byte=st.sampled_from((1.0, 3.0)))
    def succeed(self, held: tuple[RunModel, int], bits_per_byte: float) -> None:
        run, attempt = held
        stored = self._stored(run)
        results = factories.gauge_results(bits_per_byte) if stored.kind == "evaluate" else None
        report = factories.make_report(
            stored, results, outputs={"model": Output(path="model")},
            definitions={"attempt": str(attempt)},
        )  # fmt: skip
        passes = stored.step_id != "evaluate" or bits_per_byte < 2.0
        was_held = run.is_held_by(attempt)
        self._same(
            held, partial(lifecycle.finish_succeeded, report=report), "succeed", passes_gate=passes
        )
        if was_held and passes:
            self.published.append((str(stored.pk), attempt))

    @rule(held=attempts, is_retryable=st.booleans())
    def fail(self, held: tuple[RunModel, int], is_retryable: bool) -> None:
        call = partial(
            lifecycle.finish_failed, code="c", message="m", is_retryable=is_retryable,
            exit_status=1,
        )  # fmt: skip
        self._same(held, call, "fail", is_retryable=is_retryable)

    @rule(held=attempts)
    def stop(self, held: tuple[RunModel, int]) -> None:
        self._same(held, partial(lifecycle.finish_stopped, exit_status=75), "stop")

    @rule(held=attempts)
    def lose(self, held: tuple[RunModel, int]) -> None:
        self._same(held, partial(lifecycle.attempt_lost, message="died"), "lose")

    @rule(held=attempts)
    def expire(self, held: tuple[RunModel, int]) -> None:
        self._same(held, lifecycle.attempt_expired, "expire")

    @rule(seconds=st.sampled_from((20, 60, 100)))
    def pass_time(self, seconds: int) -> None:
        past = timedelta(seconds=seconds)
        leased = Run.objects.filter(lease_expires_at__isnull=False)
        leased.update(lease_expires_at=F("lease_expires_at") - past)
        sent = Outbox.objects.filter(sent_at__isnull=False)
        sent.update(sent_at=F("sent_at") - past)
        self.oracle.pass_time(seconds)

    @rule()
    def reap(self) -> None:
        assert len(lifecycle.reap_expired()) == self.oracle.reap()

    # --- what must hold -------------------------------------------------------------------

    @invariant()
    def the_database_says_what_the_oracle_says(self) -> None:
        found = Run.objects.prefetch_related("attempts", "events").defer("spec")
        rows = {run.pk: run for run in found}
        assert len(rows) == len(self.oracle.runs)
        for model in self.oracle.runs:
            run = rows[self.stored[id(model)]]
            assert (run.state, run.attempt, run.num_lost, run.owner) == (
                model.state, model.attempt, model.num_lost, model.slot,
            )  # fmt: skip
            assert [attempt.state for attempt in run.attempts.all()] == model.attempts
            assert {(event.attempt, event.seq) for event in run.events.all()} == model.events
            finisher = run.report and int(run.report["definitions"]["attempt"])
            assert finisher == model.finisher
            if model.slot:
                held = lifecycle.is_cancel_requested(run.pk, run.attempt)
                assert held == (model.state == "cancelling")
        assert self.published == PUBLISHED
        requests = AuditEvent.objects.filter(action="run.cancel").count() - self.num_audited
        assert requests == self.oracle.num_cancel_requests

    @invariant()
    def no_slot_and_no_run_has_two_live_attempts(self) -> None:
        live = Attempt.objects.filter(state__in=LIVE_ATTEMPT_STATES)
        for column in ("worker", "run"):
            values = list(live.values_list(column, flat=True))
            assert len(values) == len(set(values))

    @invariant()
    def what_is_queued_has_a_message(self) -> None:
        queued = set(Run.objects.filter(state="queued").values_list("pk", flat=True))
        assert (
            set(Outbox.objects.filter(run__state="queued").values_list("pk", flat=True)) == queued
        )
        due = outbox_due(resend_seconds=-3600)
        assert {message.pk for message in due} == queued
        assert all(message.run.queue == "compute" for message in due)

    # --- the two worlds -------------------------------------------------------------------

    def _know(self, model: RunModel, stored: Run) -> RunModel:
        self.stored[id(model)] = stored.pk
        return model

    def _know_steps(self, plan: PlanModel, stored: Plan) -> None:
        runs = {run.step_id: run for run in stored.runs.current_steps()}
        for model, step_id in zip(plan.steps, ("train", "evaluate", "compare"), strict=True):
            self._know(model, runs[step_id])

    def _stored(self, model: RunModel) -> Run:
        return Run.objects.get(pk=self.stored[id(model)])

    def _same(self, held: tuple[RunModel, int], call: Any, name: str, **orders: bool) -> None:
        """The call and the oracle agree on whether the attempt still holds its run."""
        run, attempt = held
        accepted = call(self.stored[id(run)], attempt)
        assert accepted == getattr(self.oracle, name)(run, attempt, **orders)


@pytest.mark.slow
def test_every_history_ends_as_the_oracle_says(tmp_path: Any, settings: Any) -> None:
    settings.STUDIO_DATA_DIR = tmp_path
    settings.STUDIO_RUN_PUBLISHERS = [f"{__name__}.publish"]
    evaluate = factories.gauge_spec()
    train = {
        "kind": "continual_pretrain", "model": evaluate["base"], "num_tokens": 100,
        "sources": [{"name": "domain", "dataset": factories.corpus(), "weight": 1.0}],
        "optimizer": {"learning_rate": 0.001},
    }  # fmt: skip
    gate = {"metric": "results.gauge.bits_per_byte", "operator": "at_most", "value": 2.0}
    steps = [
        {"id": "train", "spec": train},
        {
            "id": "evaluate", "gates": [gate],
            "spec": evaluate | {"model": {"from_step": "train"}},
        },
        {"id": "compare", "spec": evaluate, "needs": ["evaluate"]},
    ]  # fmt: skip
    Lifecycle.project = factories.make_project()
    Lifecycle.actor = factories.make_user("engineer", project=Lifecycle.project, role=Role.ENGINEER)
    Lifecycle.run_spec = read_run_spec(json.dumps(evaluate))
    plan = {"kind": "plan", "name": "p", "steps": steps}
    Lifecycle.plan_spec = read_plan_spec(json.dumps(plan))
    run_state_machine_as_test(Lifecycle, settings=SETTINGS)


SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    derandomize=True,
    database=None,
    deadline=None,
    # Shrinking replays: what a failure prints is short enough without.
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)

"""Two callers of which one has done its work and not yet ended its transaction."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from pipeline.contracts.documents import read_plan_spec, read_run_spec
from pipeline.contracts.reports import Output, Report
from studio.accounts.models import Role, User
from studio.runs import lifecycle, services
from studio.runs.models import Plan, Run
from studio.runs.rights import run_refuse

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]
FINISHING, GO_ON = threading.Event(), threading.Event()


def publish_slowly(_run: Run, _report: Report) -> None:
    """A publisher: the run's row is changed by now, its plan not looked at yet."""
    FINISHING.set()
    assert GO_ON.wait(10)


def attempt(act: Callable[[], object], errors: list[Exception]) -> threading.Thread:
    """`act` was begun on a connection of its own."""

    def run() -> None:
        try:
            act()
        except Exception as exc:  # noqa: BLE001 (looked at by the test)
            errors.append(exc)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_step_may_end_while_its_plan_is_cancelled(factories: Any, settings: Any) -> None:
    settings.STUDIO_RUN_PUBLISHERS = [f"{__name__}.publish_slowly"]
    FINISHING.clear()
    GO_ON.clear()
    project = factories.make_project()
    ann = factories.make_user("ann", project=project, role=Role.ADMIN)
    plan = factories.make_plan(project, ann)
    first = plan.runs.get(step_id="first")
    claim = lifecycle.claim(first.pk, slot="here/compute-0", queue=first.queue)
    report = factories.make_report(first, outputs={"samples": Output(path="samples.parquet")})
    assert claim is not None
    errors: list[Exception] = []
    finish = attempt(lambda: lifecycle.finish_succeeded(first.pk, claim.attempt, report), errors)
    assert FINISHING.wait(10)
    cancel = attempt(lambda: services.plan_cancel(plan=plan, actor=ann), errors)
    cancel.join(0.5)
    GO_ON.set()
    finish.join()
    cancel.join()
    assert errors == []
    states = dict(plan.runs.values_list("step_id", "state"))
    assert states == {"first": "succeeded", "second": "cancelled"}


@pytest.fixture
def ann(factories: Any) -> User:
    """Who starts everything here."""
    return factories.make_user("ann", project=factories.make_project(), role=Role.ADMIN)


@pytest.fixture
def make_plan(factories: Any, ann: User) -> Callable[..., Plan]:
    """`make_plan(first=[], third=["first"])`: steps, and those each needs."""

    def make(**needs: list[str]) -> Plan:
        steps = [
            {"id": step_id, "spec": factories.gauge_spec(), "needs": needed}
            for step_id, needed in needs.items()
        ]
        spec = read_plan_spec(json.dumps({"kind": "plan", "name": "p", "steps": steps}))
        return services.plan_create(project=ann.memberships.get().project, actor=ann, spec=spec)

    return make


def claimed(run: Run) -> int:
    claim = lifecycle.claim(run.pk, slot=f"here/{run.step_id or run.pk}", queue=run.queue)
    assert claim is not None
    return claim.attempt


def fail(run: Run) -> None:
    assert lifecycle.finish_failed(
        run.pk, claimed(run), code="c", message="", is_retryable=False, exit_status=1
    )


def beside(first: Callable[[], object], second: Callable[[], object]) -> None:
    """`second` begins when `first` has done everything but end its transaction."""
    FINISHING.clear()
    GO_ON.clear()

    def slowly() -> None:
        with transaction.atomic():
            first()
            FINISHING.set()
            assert GO_ON.wait(10)

    errors: list[Exception] = []
    slow = attempt(slowly, errors)
    assert FINISHING.wait(10)
    other = attempt(second, errors)
    other.join(0.5)
    GO_ON.set()
    slow.join()
    other.join()
    assert errors == []


def test_a_restart_sees_how_another_step_has_just_ended(
    ann: User, make_plan: Callable[..., Plan]
) -> None:
    plan = make_plan(first=[], second=[])
    fail(plan.runs.get(step_id="first"))
    beside(
        lambda: fail(plan.runs.get(step_id="second")),
        lambda: services.plan_restart(plan=plan, actor=ann),
    )
    assert [run.state for run in plan.runs.current_steps()] == ["queued", "queued"]


def test_a_refused_step_and_one_that_ends_do_not_both_leave_the_next_one_waiting(
    factories: Any, ann: User, make_plan: Callable[..., Plan]
) -> None:
    plan = make_plan(first=[], second=[], third=["first", "second"])
    first, second = (plan.runs.get(step_id=step_id) for step_id in ("first", "second"))
    number = claimed(first)
    ann.memberships.all().delete()

    def refuse() -> None:
        with transaction.atomic():
            assert run_refuse(second.pk)

    report = factories.make_report(first)
    beside(lambda: lifecycle.finish_succeeded(first.pk, number, report), refuse)
    assert plan.runs.get(step_id="third").state == "cancelled"


def test_a_lease_that_is_being_renewed_is_not_reaped(
    factories: Any, ann: User, settings: Any
) -> None:
    spec = read_run_spec(json.dumps(factories.gauge_spec()))
    run = services.run_create(project=ann.memberships.get().project, actor=ann, spec=spec)
    number = claimed(run)
    Run.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=60))
    reaped: list[object] = []
    beside(
        lambda: lifecycle.renew(run.pk, number),
        lambda: reaped.extend(lifecycle.reap_expired()),
    )
    run.refresh_from_db()
    assert (reaped, run.state, run.attempt) == ([], "running", number)

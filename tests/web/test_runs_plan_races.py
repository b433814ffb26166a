"""A step that ends while its plan is cancelled: one after the other, and neither is refused."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from pipeline.contracts.documents import read_plan_spec
from pipeline.contracts.reports import Output, Report
from studio.accounts.models import Role
from studio.runs import lifecycle, services
from studio.runs.models import Run

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


def test_a_restart_sees_how_another_step_has_just_ended(factories: Any) -> None:
    FINISHING.clear()
    GO_ON.clear()
    project = factories.make_project()
    ann = factories.make_user("ann", project=project, role=Role.ADMIN)
    steps = [{"id": step_id, "spec": factories.gauge_spec()} for step_id in ("first", "second")]
    spec = read_plan_spec(json.dumps({"kind": "plan", "name": "two", "steps": steps}))
    plan = services.plan_create(project=project, actor=ann, spec=spec)

    def fail(step_id: str) -> None:
        run = plan.runs.get(step_id=step_id)
        claim = lifecycle.claim(run.pk, slot=f"here/{step_id}", queue=run.queue)
        assert claim is not None
        assert lifecycle.finish_failed(
            run.pk, claim.attempt, code="c", message="", is_retryable=False, exit_status=1
        )

    def fail_slowly() -> None:
        with transaction.atomic():
            fail("second")
            FINISHING.set()
            assert GO_ON.wait(10)

    fail("first")
    errors: list[Exception] = []
    ending = attempt(fail_slowly, errors)
    assert FINISHING.wait(10)
    restart = attempt(lambda: services.plan_restart(plan=plan, actor=ann), errors)
    restart.join(0.5)
    GO_ON.set()
    ending.join()
    restart.join()
    assert errors == []
    assert [run.state for run in plan.runs.current_steps()] == ["queued", "queued"]

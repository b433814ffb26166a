"""A step that ends while its plan is cancelled: one after the other, and neither is refused."""

import threading
from typing import Any

import pytest
from django.db import connection

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

    def attempt(act: Any) -> threading.Thread:
        def run() -> None:
            try:
                act()
            except Exception as exc:  # noqa: BLE001 (looked at below)
                errors.append(exc)
            finally:
                connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    finish = attempt(lambda: lifecycle.finish_succeeded(first.pk, claim.attempt, report))
    assert FINISHING.wait(10)
    cancel = attempt(lambda: services.plan_cancel(plan=plan, actor=ann))
    cancel.join(0.5)
    GO_ON.set()
    finish.join()
    cancel.join()
    assert errors == []
    states = dict(plan.runs.values_list("step_id", "state"))
    assert states == {"first": "succeeded", "second": "cancelled"}

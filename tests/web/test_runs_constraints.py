"""What the database itself refuses, whatever the code above it believes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from pipeline.contracts.documents import read_plan_spec
from studio.accounts.models import Role
from studio.runs import lifecycle, services
from studio.runs.models import Attempt, Plan, Run, RunEvent
from tests.web import factories

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
SLOT = "machine/compute-0"
QUEUED, RUNNING = {"state": "queued"}, {"state": "running"}


def changed(where: dict[str, str], **columns: object) -> Callable[[], object]:
    return lambda: Run.objects.filter(**where).update(**columns)


def attempt(where: dict[str, str], **columns: object) -> Callable[[], object]:
    return lambda: Attempt.objects.create(run=Run.objects.filter(**where).first(), **columns)


def event_twice() -> None:
    for _ in range(2):
        RunEvent.objects.create(
            run=Run.objects.first(), attempt=1, seq=1, at=Now(), kind="Progress", payload={}
        )


VIOLATIONS: dict[str, list[Callable[[], object]]] = {
    "run_state_is_known": [changed(QUEUED, state="paused")],
    "run_queue_is_known": [changed(QUEUED, queue="night")],
    "run_active_means_leased": [
        changed(RUNNING, lease_expires_at=None),
        changed(RUNNING, owner=""),
        changed(QUEUED, lease_expires_at=Now()),
        changed(QUEUED, owner=SLOT),
    ],
    "run_terminal_means_finished": [
        changed(QUEUED, state="failed"),
        changed(QUEUED, finished_at=Now()),
    ],
    "run_succeeded_means_reported": [changed(QUEUED, state="succeeded", finished_at=Now())],
    "run_idempotency_key_unique": [changed({}, idempotency_key="k")],
    "plan_idempotency_key_unique": [lambda: Plan.objects.update(idempotency_key="k")],
    "attempt_number_unique": [attempt(RUNNING, number=1, worker="elsewhere", state="lost")],
    "attempt_one_live_per_run": [attempt(RUNNING, number=2, worker="elsewhere")],
    "attempt_one_live_per_slot": [attempt(QUEUED, number=1, worker=SLOT)],
    "run_event_unique": [event_twice],
}


@pytest.fixture
def runs(tmp_path: Any, settings: Any) -> None:
    """One run that an attempt holds, two that are queued, and two plans."""
    settings.STUDIO_DATA_DIR = tmp_path
    spec = factories.gauge_spec()
    project = factories.make_project()
    actor = factories.make_user("engineer", project=project, role=Role.ENGINEER)
    document = {"kind": "plan", "name": "p", "steps": [{"id": "only", "spec": spec}]}
    for _ in range(3):
        services.plan_create(
            project=project, actor=actor, spec=read_plan_spec(json.dumps(document))
        )
    assert lifecycle.claim(Run.objects.first().pk, slot=SLOT, queue="compute")


def test_every_constraint_has_its_violation() -> None:
    models = (Run, Plan, Attempt, RunEvent)
    names = [constraint.name for model in models for constraint in model._meta.constraints]
    assert sorted(names) == sorted(VIOLATIONS)


@pytest.mark.parametrize("name", VIOLATIONS)
@pytest.mark.usefixtures("runs")
def test_the_database_refuses(name: str) -> None:
    for violate in VIOLATIONS[name]:
        with pytest.raises(IntegrityError), transaction.atomic():
            violate()

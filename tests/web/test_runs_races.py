"""Two callers at the same moment: what becomes of the run is what one order of the two makes of it.

Both are held at their first write, after all their reads, and let go together. On PostgreSQL that
is the widest gap there is between looking and writing; on SQLite the second waits for the first
from its beginning.
"""

import itertools
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from pipeline.contracts.documents import read_plan_spec, read_run_spec
from pipeline.contracts.events import Event, Progress
from pipeline.contracts.reports import Output
from studio.accounts.models import Project, Role, User
from studio.runs import lifecycle, services
from studio.runs.models import Outbox, Run
from studio.runs.states import RunState
from studio.runs.transitions import enqueue
from tests.web import factories

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]
BLOCKED_SECONDS = 10.0


@dataclass
class World:
    """Whose runs they are, and a spec that may be started."""

    project: Project
    actor: User
    spec: dict[str, Any]

    def new_run(self, *, is_claimed: bool) -> Run:
        run = services.run_create(
            project=self.project, actor=self.actor, spec=read_run_spec(json.dumps(self.spec))
        )
        if is_claimed:
            assert lifecycle.claim(run.pk, slot=f"machine/{run.pk}", queue="compute")
        run.refresh_from_db()
        return run


@pytest.fixture
def world(tmp_path: Any, settings: Any) -> World:
    settings.STUDIO_DATA_DIR = tmp_path
    settings.STUDIO_RUN_PUBLISHERS = []
    spec = factories.gauge_spec()
    project = factories.make_project()
    actor = factories.make_user("engineer", project=project, role=Role.ENGINEER)
    return World(project, actor, spec)


@contextmanager
def writes_held(num_callers: int) -> Iterator[None]:
    """Nobody writes runs or attempts until the callers that were started inside all want to."""
    if connection.vendor == "sqlite":
        file = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
        file.execute("BEGIN IMMEDIATE")
        yield
        time.sleep(0.1)
        file.execute("ROLLBACK")
        file.close()
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "LOCK TABLE runs_run, runs_attempt, runs_outbox, runs_runevent IN SHARE MODE"
        )
        yield
        deadline = time.monotonic() + BLOCKED_SECONDS
        while _num_blocked(cursor) < num_callers:
            assert time.monotonic() < deadline, "the callers do not write"
            time.sleep(0.01)


def _num_blocked(cursor: Any) -> int:
    cursor.execute(
        "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
        " AND (database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        "      OR locktype = 'transactionid')"
    )
    return int(cursor.fetchone()[0])


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What each call returned or raised; all of them were about to write at the same moment."""
    outcomes: list[object] = [None] * len(calls)

    def work(index: int, call: Callable[[], object]) -> None:
        try:
            outcomes[index] = call()
        except Exception as exc:  # noqa: BLE001 (an outcome like any other)
            outcomes[index] = exc
        finally:
            connection.close()

    threads = [
        threading.Thread(target=work, args=(index, call)) for index, call in enumerate(calls)
    ]
    with writes_held(len(calls)):
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def event_line(run: Run) -> bytes:
    """The first attempt's only event."""
    event = Event(
        run_id=str(run.pk), attempt=1, seq=1, kind="Progress", at="2026-01-01T00:00:00+00:00",
        payload=Progress(stage="s", done=1, total=3, unit="x"),
    )  # fmt: skip
    return event.model_dump_json().encode()


CALLS: dict[str, Callable[[World, Run, int], object]] = {
    "claim": lambda _w, run, who: (
        lifecycle.claim(run.pk, slot=f"machine/compute-{who}", queue="compute") is not None
    ),
    "renew": lambda _w, run, _who: lifecycle.renew(run.pk, 1),
    "start": lambda _w, run, _who: lifecycle.attempt_started(run.pk, 1, pid=7, resumed_from=""),
    "ingest": lambda _w, run, _who: lifecycle.ingest_events(run.pk, 1, [event_line(run)]),
    "succeed": lambda _w, run, _who: lifecycle.finish_succeeded(
        run.pk, 1, factories.make_report(run, outputs={"model": Output(path="model")})
    ),
    "fail": lambda _w, run, _who: lifecycle.finish_failed(
        run.pk, 1, code="c", message="m", is_retryable=False, exit_status=1
    ),
    "retry": lambda _w, run, _who: lifecycle.finish_failed(
        run.pk, 1, code="c", message="m", is_retryable=True, exit_status=1
    ),
    "stop": lambda _w, run, _who: lifecycle.finish_stopped(run.pk, 1, exit_status=75),
    "lose": lambda _w, run, _who: lifecycle.attempt_lost(run.pk, 1, message="died"),
    "expire": lambda _w, run, _who: lifecycle.attempt_expired(run.pk, 1),
    "abandon": lambda _w, run, _who: lifecycle.slot_abandon(f"machine/{run.pk}") == 1,
    "cancel": lambda world, run, _who: services.run_cancel(run=run, actor=world.actor).state,
}


def after(run: Run) -> tuple[object, ...]:
    """All that the calls decide."""
    run.refresh_from_db()
    return (
        run.state,
        run.attempt,
        run.num_lost,
        tuple(run.attempts.values_list("state", flat=True)),
        run.report is not None,
        run.events.count(),
        Outbox.objects.filter(run=run).exists() == (run.state == RunState.QUEUED),
    )


def new_run(world: World, names: tuple[str, str]) -> Run:
    run = world.new_run(is_claimed=not set(names) <= {"claim", "cancel"})
    if "expire" in names:
        Run.objects.filter(pk=run.pk).update(lease_expires_at=timezone.now())
    return run


@pytest.mark.slow
def test_two_callers_at_once_are_as_one_after_the_other(world: World) -> None:
    wrong = []
    for names in itertools.combinations_with_replacement(CALLS, 2):
        expected = []
        for order in ((0, 1), (1, 0)):
            run = new_run(world, names)
            results = {who: CALLS[names[who]](world, run, who) for who in order}
            expected.append((results[0], results[1], *after(run)))
        run = new_run(world, names)
        outcomes = at_once(*(partial(CALLS[names[who]], world, run, who) for who in (0, 1)))
        found = (*outcomes, *after(run))
        if found not in expected:
            wrong.append(f"{names}: {found}, expected one of {expected}")
    assert wrong == []


def test_a_run_resumed_twice_at_once_has_one_continuation(world: World) -> None:
    run = world.new_run(is_claimed=True)
    CALLS["fail"](world, run, 0)
    resume = partial(services.run_resume, run=run, actor=world.actor)
    first, second = at_once(resume, resume)
    assert first == second == Run.objects.get(continues=run)


def test_a_plan_restarted_twice_at_once_has_each_step_once(world: World) -> None:
    steps = [{"id": f"s{n}", "spec": world.spec} for n in range(2)]
    plan = services.plan_create(
        project=world.project, actor=world.actor,
        spec=read_plan_spec(json.dumps({"kind": "plan", "name": "p", "steps": steps})),
    )  # fmt: skip
    services.plan_cancel(plan=plan, actor=world.actor)
    restart = partial(services.plan_restart, plan=plan, actor=world.actor)
    assert at_once(restart, restart) == [None, None]
    assert plan.runs.count() == 4
    assert plan.runs.current_steps().count() == 2


def test_two_steps_that_end_at_once_do_not_both_leave_the_next_one_waiting(world: World) -> None:
    steps = [
        {"id": "a", "spec": world.spec},
        {"id": "b", "spec": world.spec},
        {"id": "c", "spec": world.spec, "needs": ["a", "b"]},
    ]
    plan = services.plan_create(
        project=world.project, actor=world.actor,
        spec=read_plan_spec(json.dumps({"kind": "plan", "name": "p", "steps": steps})),
    )  # fmt: skip
    needed = list(plan.runs.filter(step_id__in=("a", "b")))
    for run in needed:
        assert lifecycle.claim(run.pk, slot=f"machine/{run.pk}", queue="compute")
    at_once(*(partial(CALLS["succeed"], world, run, 0) for run in needed))
    assert plan.runs.get(step_id="c").state == RunState.QUEUED


def test_one_form_sent_twice_at_once_makes_one_run(world: World) -> None:
    create = partial(
        services.run_create, project=world.project, actor=world.actor,
        spec=read_run_spec(json.dumps(world.spec)), idempotency_key="form",
    )  # fmt: skip
    first, second = at_once(create, create)
    assert first == second == Run.objects.get()


def test_a_run_is_queued_in_a_transaction_or_not_at_all(world: World) -> None:
    """Otherwise a run could be queued and its message never written."""
    with pytest.raises(RuntimeError, match="outside a transaction"):
        enqueue(Run.objects.filter(pk=world.new_run(is_claimed=True).pk))

"""The life of a run in the database: claims, fences, leases, retries, cancellation."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import override

from pipeline.contracts.documents import read_run_spec
from pipeline.contracts.evaluation_results import EvaluateResults
from pipeline.contracts.events import Event, MetricsLogged, Payload, Progress
from pipeline.contracts.gauge_results import GaugeResults
from pipeline.contracts.reports import Environment, Report
from pipeline.errors import RunStateError, SpecError
from studio.accounts.models import AuditEvent, Membership, Project, Role, User
from studio.runs import lifecycle, services
from studio.runs.models import Attempt, Outbox, Run, RunEvent
from studio.runs.outbox import outbox_due
from studio.runs.presentation_metrics import run_curves
from studio.runs.states import RunState
from studio.runs.transitions import TRANSITIONS, enqueue, move

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
SLOT = "machine/compute-0"
OTHER_SLOT = "machine/compute-1"


@pytest.fixture
def project() -> Project:
    return Project.objects.create(slug="demo", name="Demo")


@pytest.fixture
def engineer(project: Project) -> User:
    user = User.objects.create_user(username="engineer")
    Membership.objects.create(project=project, user=user, role=Role.ENGINEER)
    return user


@pytest.fixture
def input_root(tmp_path: Any, settings: Any) -> str:
    settings.STUDIO_DATA_DIR = tmp_path
    return str(tmp_path / "models")


@pytest.fixture
def spec(input_root: str) -> str:
    return json.dumps(
        {
            "kind": "evaluate",
            "model": {"path": f"{input_root}/model"},
            "base": {"path": f"{input_root}/model"},
            "gauge": {"prompts": {"path": f"{input_root}/a.jsonl", "kind": "corpus"}},
        }
    )


@pytest.fixture
def run(project: Project, engineer: User, spec: str) -> Run:
    return services.run_create(project=project, actor=engineer, spec=read_run_spec(spec))


def claimed(run: Run, slot: str = SLOT) -> lifecycle.Claim:
    claim = lifecycle.claim(run.pk, slot=slot, queue="compute")
    assert claim is not None
    return claim


def report(run: Run, *, bits_per_byte: float = 1.0, definition: str = "") -> Report:
    gauge = GaugeResults(
        bits_per_byte=bits_per_byte, kl_nats_per_token=0.0, num_texts=1, num_tokens=2, num_bytes=3
    )
    environment = Environment(
        python="3.11", packages={}, platform="", processor="", num_threads=1, device="cpu",
        dtype="float32",
    )  # fmt: skip
    return Report(
        spec_digest=run.spec_digest, code_version="unknown", started_at="", seconds=1.0,
        environment=environment, results=EvaluateResults(gauge=gauge),
        definitions={"gauge": definition},
    )  # fmt: skip


def event_line(run: Run, attempt: int, seq: int, payload: Payload) -> bytes:
    event = Event(
        run_id=str(run.pk),
        attempt=attempt,
        seq=seq,
        at="2026-01-01T00:00:00.000+00:00",
        kind=payload.kind,
        payload=payload,
    )
    return event.model_dump_json().encode()


def expire(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))


# --- making a run ---------------------------------------------------------------------------


def test_a_run_is_queued_with_its_message_and_audit_line(run: Run, engineer: User) -> None:
    assert run.state == RunState.QUEUED
    assert run.queue == "compute"
    assert len(run.spec_digest) == 64
    assert Outbox.objects.get(run=run).sent_at is None
    assert AuditEvent.objects.get(action="run.create").target_id == str(run.pk)


def test_the_same_form_sent_twice_makes_one_run(
    project: Project, engineer: User, spec: str
) -> None:
    runs = [
        services.run_create(
            project=project, actor=engineer, spec=read_run_spec(spec), idempotency_key="k"
        )
        for _ in range(2)
    ]
    assert runs[0].pk == runs[1].pk
    assert Run.objects.count() == 1
    changed = json.dumps(json.loads(spec) | {"seed": 7})
    with override("en"), pytest.raises(SpecError, match="other settings"):
        services.run_create(
            project=project, actor=engineer, spec=read_run_spec(changed), idempotency_key="k"
        )


def test_an_unknown_key_is_refused_with_its_path(
    project: Project, engineer: User, spec: str
) -> None:
    broken = json.dumps(json.loads(spec) | {"learnin_rate": 1})
    with pytest.raises(SpecError, match="learnin_rate"):
        services.run_create(project=project, actor=engineer, spec=read_run_spec(broken))
    assert Run.objects.count() == 0


@pytest.mark.parametrize("path", ["/etc/passwd", "{root}/../secret_key", "relative.jsonl"])
def test_a_path_outside_the_input_folders_is_refused(
    project: Project, engineer: User, spec: str, input_root: str, path: str
) -> None:
    document = json.loads(spec)
    document["gauge"]["prompts"]["path"] = path.format(root=input_root)
    with pytest.raises(SpecError, match=r"gauge\.prompts\.path") as caught:
        services.run_create(
            project=project, actor=engineer, spec=read_run_spec(json.dumps(document))
        )
    assert caught.value.code == "spec.path_not_allowed"


# --- claim and fence ------------------------------------------------------------------------


def test_a_claim_takes_the_run_once(run: Run) -> None:
    claim = claimed(run)
    assert claim.attempt == 1
    assert lifecycle.claim(run.pk, slot=OTHER_SLOT, queue="compute") is None
    run.refresh_from_db()
    assert (run.state, run.owner, run.attempt) == (RunState.RUNNING, SLOT, 1)
    assert run.started_at is not None
    assert run.lease_expires_at is not None
    assert not Outbox.objects.filter(run=run).exists()


def test_a_supervisor_of_another_queue_gets_nothing(run: Run) -> None:
    assert lifecycle.claim(run.pk, slot=SLOT, queue="interactive") is None


@pytest.mark.parametrize("columns", [{"cancel_requested_at": Now()}, {"num_lost": 3}])
def test_a_queued_run_that_should_have_ended_is_not_claimed(
    run: Run, columns: dict[str, Any]
) -> None:
    """Nothing brings a run here; were it to happen, the claim is the last to refuse."""
    Run.objects.filter(pk=run.pk).update(**columns)
    assert lifecycle.claim(run.pk, slot=SLOT, queue="compute") is None


def test_a_slot_works_on_one_run(project: Project, engineer: User, spec: str) -> None:
    """Who holds the slot's lock knows that the slot's former attempt is dead."""
    first, second = (
        services.run_create(project=project, actor=engineer, spec=read_run_spec(spec))
        for _ in range(2)
    )
    claimed(first)
    claimed(second)
    first.refresh_from_db()
    assert (first.state, first.num_lost) == (RunState.QUEUED, 1)
    assert first.attempts.get().state == "lost"


def test_the_database_refuses_two_live_attempts_on_a_slot(
    project: Project, engineer: User, spec: str
) -> None:
    first, second = (
        services.run_create(project=project, actor=engineer, spec=read_run_spec(spec))
        for _ in range(2)
    )
    claimed(first)
    with pytest.raises(IntegrityError), transaction.atomic():
        Attempt.objects.create(run=second, number=1, worker=SLOT)


def test_an_active_run_without_a_lease_cannot_be_stored(run: Run) -> None:
    claimed(run)
    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.filter(pk=run.pk).update(lease_expires_at=None)


def test_every_write_of_a_stale_attempt_is_rejected(run: Run) -> None:
    stale = claimed(run).attempt
    expire(run)
    assert lifecycle.reap_expired() == [(run.pk, stale)]
    fresh = claimed(run, OTHER_SLOT).attempt
    attempts = list(run.attempts.order_by("number").values())
    line = event_line(run, stale, 1, Progress(stage="train", done=1, total=2, unit="tokens"))

    assert not lifecycle.renew(run.pk, stale)
    assert not lifecycle.attempt_started(run.pk, stale, pid=1, resumed_from="")
    assert not lifecycle.ingest_events(run.pk, stale, [line])
    assert not lifecycle.finish_succeeded(run.pk, stale, report(run))
    assert not lifecycle.finish_stopped(run.pk, stale, exit_status=75)
    assert not lifecycle.attempt_lost(run.pk, stale, message="")
    assert not lifecycle.finish_failed(
        run.pk, stale, code="c", message="m", is_retryable=True, exit_status=1
    )
    run.refresh_from_db()
    assert (run.state, run.attempt, run.owner) == (RunState.RUNNING, fresh, OTHER_SLOT)
    assert run.report is None
    assert list(run.attempts.order_by("number").values()) == attempts
    assert not RunEvent.objects.exists()


def test_a_cancelling_run_has_no_way_back_to_the_queue(run: Run, engineer: User) -> None:
    claimed(run)
    services.run_cancel(run=run, actor=engineer)
    with transaction.atomic():
        assert not enqueue(Run.objects.filter(pk=run.pk))
    assert not Outbox.objects.filter(run=run).exists()


def test_only_expired_leases_are_shown_to_whoever_looks_first(run: Run) -> None:
    attempt = claimed(run).attempt
    assert lifecycle.reap_expired(is_dry_run=True) == []
    expire(run)
    assert lifecycle.reap_expired(is_dry_run=True) == [(run.pk, attempt)]


def test_a_start_whose_answer_was_lost_may_be_said_again(run: Run) -> None:
    """The commit arrived, its confirmation did not: the attempt is not fenced for that."""
    attempt = claimed(run).attempt
    for _ in range(2):
        assert lifecycle.attempt_started(run.pk, attempt, pid=7, resumed_from="")
    assert run.attempts.get().state == "running"


def test_a_wake_up_takes_the_run_that_waits_longest(
    project: Project, engineer: User, spec: str
) -> None:
    first, second, third = (
        services.run_create(project=project, actor=engineer, spec=read_run_spec(spec))
        for _ in range(3)
    )
    Outbox.objects.update(sent_at=timezone.now())
    services.run_cancel(run=first, actor=engineer)
    for run, slot in ((second, SLOT), (third, OTHER_SLOT)):
        claim = lifecycle.claim_oldest(third.pk, slot=slot, queue="compute")
        assert claim is not None
        assert claim.run_id == run.pk
    assert lifecycle.claim_oldest(third.pk, slot=SLOT, queue="interactive") is None


def test_a_message_that_was_spent_on_an_older_run_is_sent_again(
    project: Project, engineer: User, spec: str
) -> None:
    _older, named = (
        services.run_create(project=project, actor=engineer, spec=read_run_spec(spec))
        for _ in range(2)
    )
    Outbox.objects.update(sent_at=timezone.now())
    assert lifecycle.claim_oldest(named.pk, slot=SLOT, queue="compute")
    assert Outbox.objects.get().run == named
    assert Outbox.objects.get().sent_at is None


# --- events ---------------------------------------------------------------------------------


def test_events_sent_twice_are_stored_once(run: Run) -> None:
    attempt = claimed(run).attempt
    lines = [
        event_line(run, attempt, 1, Progress(stage="train", done=1, total=4, unit="tokens")),
        event_line(run, attempt, 2, MetricsLogged(step=1, metrics={"loss": 2.0})),
        event_line(run, attempt, 3, Progress(stage="train", done=3, total=4, unit="tokens")),
    ]
    assert lifecycle.ingest_events(run.pk, attempt, lines[:2])
    assert lifecycle.ingest_events(run.pk, attempt, lines)
    assert list(run.events.values_list("seq", flat=True)) == [1, 2, 3]
    run.refresh_from_db()
    assert (run.progress_stage, run.progress_done, run.progress_total) == ("train", 3, 4)


def test_foreign_and_torn_lines_are_left_out(run: Run) -> None:
    attempt = claimed(run).attempt
    good = event_line(run, attempt, 1, MetricsLogged(step=1, metrics={"loss": 2.0}))
    foreign = event_line(run, attempt + 1, 2, MetricsLogged(step=2, metrics={}))
    assert lifecycle.ingest_events(run.pk, attempt, [good[:40], foreign, good])
    assert run.events.count() == 1


def test_a_chart_shows_a_repeated_step_once(run: Run) -> None:
    first = claimed(run).attempt
    lifecycle.ingest_events(
        run.pk,
        first,
        [
            event_line(run, first, step, MetricsLogged(step=step, metrics={"loss": 9.0}))
            for step in (1, 2)
        ],
    )
    lifecycle.attempt_lost(run.pk, first, message="killed")
    second = claimed(run).attempt
    line = event_line(run, second, 1, MetricsLogged(step=2, metrics={"loss": 8.0}))
    lifecycle.ingest_events(run.pk, second, [line])
    assert run_curves(run, num_events=3) == {"loss": [(1, 9.0), (2, 8.0)]}


# --- ends -----------------------------------------------------------------------------------


PUBLISHED: list[tuple[str, float]] = []


def publish(run: Run, result: Report) -> None:
    """A publisher as `settings.STUDIO_RUN_PUBLISHERS` names them."""
    PUBLISHED.append((run.state, result.results.gauge.bits_per_byte))


def publish_badly(_run: Run, _result: Report) -> None:
    raise LookupError("registry is broken")


def test_success_publishes_the_report_once(run: Run, settings: Any) -> None:
    settings.STUDIO_RUN_PUBLISHERS = [f"{__name__}.publish"]
    PUBLISHED.clear()
    attempt = claimed(run).attempt
    assert lifecycle.finish_succeeded(run.pk, attempt, report(run, bits_per_byte=1.5))
    assert not lifecycle.finish_succeeded(run.pk, attempt, report(run, bits_per_byte=9.9))
    run.refresh_from_db()
    assert (run.state, run.owner, run.lease_expires_at) == (RunState.SUCCEEDED, "", None)
    assert run.report["results"]["gauge"]["bits_per_byte"] == 1.5
    assert PUBLISHED == [("succeeded", 1.5)]
    assert run.attempts.get().state == "succeeded"


def test_a_publisher_that_fails_leaves_the_run_unfinished(run: Run, settings: Any) -> None:
    settings.STUDIO_RUN_PUBLISHERS = [f"{__name__}.publish_badly"]
    attempt = claimed(run).attempt
    with pytest.raises(LookupError):
        lifecycle.finish_succeeded(run.pk, attempt, report(run))
    run.refresh_from_db()
    assert (run.state, run.report) == (RunState.RUNNING, None)


def test_nul_characters_do_not_reach_the_database(run: Run) -> None:
    attempt = claimed(run).attempt
    assert lifecycle.finish_succeeded(run.pk, attempt, report(run, definition="a\x00b"))
    run.refresh_from_db()
    assert run.report["definitions"]["gauge"] == "a\ufffdb"


def test_a_drain_requeues_without_counting(run: Run) -> None:
    for expected in range(1, 6):
        attempt = claimed(run).attempt
        assert attempt == expected
        assert lifecycle.finish_stopped(run.pk, attempt, exit_status=75)
        run.refresh_from_db()
        assert (run.state, run.num_lost) == (RunState.QUEUED, 0)
    assert Outbox.objects.filter(run=run, sent_at=None).exists()


def test_a_run_that_keeps_dying_ends_as_worker_lost(run: Run) -> None:
    for _ in range(run.max_attempts):
        claimed(run)
        expire(run)
        assert lifecycle.reap_expired(is_dry_run=True)
        assert len(lifecycle.reap_expired()) == 1
    run.refresh_from_db()
    assert (run.state, run.error_code, run.num_lost) == (RunState.FAILED, "worker.lost", 3)
    assert run.finished_at is not None
    assert lifecycle.claim(run.pk, slot=SLOT, queue="compute") is None


def test_a_renewed_lease_is_not_reaped(run: Run) -> None:
    attempt = claimed(run).attempt
    expire(run)
    assert lifecycle.renew(run.pk, attempt)
    assert not lifecycle.is_cancel_requested(run.pk, attempt)
    assert lifecycle.reap_expired() == []
    assert not lifecycle.attempt_expired(run.pk, attempt), "renewed after the reaper had looked"


def test_a_clock_that_was_set_back_delays_nothing_by_more_than_a_term(
    run: Run, settings: Any
) -> None:
    """A lease or a sent message from the future would otherwise wait until the clock is there."""
    tomorrow = timezone.now() + timedelta(days=1)
    Outbox.objects.filter(run=run).update(sent_at=tomorrow)
    assert [message.pk for message in outbox_due(resend_seconds=60)] == [run.pk]
    claimed(run)
    Run.objects.filter(pk=run.pk).update(lease_expires_at=tomorrow)
    assert lifecycle.reap_expired() == []
    run.refresh_from_db()
    term = timedelta(seconds=settings.STUDIO_LEASE_SECONDS)
    assert run.lease_expires_at <= timezone.now() + term


@pytest.mark.parametrize(("is_retryable", "state"), [(True, "queued"), (False, "failed")])
def test_a_failure_is_retried_only_where_that_can_help(
    run: Run, is_retryable: bool, state: str
) -> None:
    attempt = claimed(run).attempt
    assert lifecycle.finish_failed(
        run.pk,
        attempt,
        code="train.diverged",
        message="loss is 80",
        is_retryable=is_retryable,
        exit_status=5,
    )
    run.refresh_from_db()
    assert run.state == state
    assert run.attempts.get().exit_status == 5


# --- cancel ---------------------------------------------------------------------------------


def test_a_queued_run_is_cancelled_at_once(run: Run, engineer: User) -> None:
    assert services.run_cancel(run=run, actor=engineer).state == RunState.CANCELLED
    assert not Outbox.objects.exists(), "nobody will ever take its message"
    assert lifecycle.claim(run.pk, slot=SLOT, queue="compute") is None


def test_a_running_run_is_cancelled_when_its_child_has_stopped(run: Run, engineer: User) -> None:
    attempt = claimed(run).attempt
    assert services.run_cancel(run=run, actor=engineer).state == RunState.CANCELLING
    assert lifecycle.renew(run.pk, attempt), "the child may still save under its lease"
    assert lifecycle.is_cancel_requested(run.pk, attempt)
    assert lifecycle.finish_stopped(run.pk, attempt, exit_status=75)
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED
    assert AuditEvent.objects.filter(action="run.cancel").count() == 1


def test_a_cancelling_run_whose_worker_dies_is_cancelled(run: Run, engineer: User) -> None:
    claimed(run)
    services.run_cancel(run=run, actor=engineer)
    expire(run)
    lifecycle.reap_expired()
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED


def test_a_run_that_succeeds_while_it_is_cancelled_has_succeeded(run: Run, engineer: User) -> None:
    attempt = claimed(run).attempt
    services.run_cancel(run=run, actor=engineer)
    assert lifecycle.finish_succeeded(run.pk, attempt, report(run))
    run.refresh_from_db()
    assert run.state == RunState.SUCCEEDED


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_terminal_states_are_never_left(run: Run, engineer: User, state: str) -> None:
    attempt = claimed(run).attempt
    if state == "succeeded":
        lifecycle.finish_succeeded(run.pk, attempt, report(run))
    elif state == "failed":
        lifecycle.finish_failed(
            run.pk, attempt, code="c", message="m", is_retryable=False, exit_status=1
        )
    else:
        services.run_cancel(run=run, actor=engineer)
        lifecycle.finish_stopped(run.pk, attempt, exit_status=75)
    for target in RunState:
        assert not move(Run.objects.filter(pk=run.pk), target)
    assert services.run_cancel(run=run, actor=engineer).state == state


def test_every_state_has_its_edges() -> None:
    assert set(TRANSITIONS) == set(RunState)


# --- resume and clone -----------------------------------------------------------------------


def test_resume_continues_the_checkpoints_of_the_ended_run(run: Run, engineer: User) -> None:
    lifecycle.finish_stopped(run.pk, claimed(run).attempt, exit_status=75)
    attempt = claimed(run).attempt
    services.run_cancel(run=run, actor=engineer)
    lifecycle.finish_stopped(run.pk, attempt, exit_status=75)

    resumed = services.run_resume(run=run, actor=engineer)
    assert services.run_resume(run=run, actor=engineer).pk == resumed.pk
    assert resumed.spec_digest == run.spec_digest
    assert claimed(resumed).earlier_attempts == ((run.pk, 2), (run.pk, 1))


def test_only_an_ended_run_without_result_is_resumed(run: Run, engineer: User) -> None:
    with override("en"), pytest.raises(RunStateError, match="nothing to resume"):
        services.run_resume(run=run, actor=engineer)
    lifecycle.finish_succeeded(run.pk, claimed(run).attempt, report(run))
    with override("en"), pytest.raises(RunStateError, match="nothing to resume"):
        services.run_resume(run=run, actor=engineer)


def test_a_clone_starts_from_nothing(run: Run, engineer: User) -> None:
    clone = services.run_clone(run=run, actor=engineer)
    assert (clone.cloned_from_id, clone.continues_id) == (run.pk, None)
    assert claimed(clone).earlier_attempts == ()

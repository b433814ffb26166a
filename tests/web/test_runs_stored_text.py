"""Whatever a child writes can be stored: a NUL in its log ends no run for good.

The same cases on SQLite and on PostgreSQL, which refuses more.
"""

import json
import random
from typing import Any

import pytest

from pipeline.contracts.storable import MAX_TEXT_CHARS, storable_text, storable_value
from studio.accounts.models import Role
from studio.runs import lifecycle
from studio.runs.models import Attempt, Run, RunEvent
from studio.runs.states import RunState

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
SLOT = "machine/compute-0"
PIECES = (
    "\x00", "\ud800", "\udcff", "\\u0000", "\\ud800", "\x1b[31m", "\n", "\u202e", "\ufffe", "'",
    "%s", "\U0001f600", "\u56fd\u8d44\u59d4", "x" * 30_000, "Traceback (most recent call last):",
)  # fmt: skip


def hostile_texts(number: int) -> list[str]:
    chance = random.Random(8)
    return ["".join(chance.choices(PIECES, k=chance.randint(1, 8))) for _ in range(number)]


@pytest.fixture
def run(factories: Any) -> Run:
    project = factories.make_project()
    user = factories.make_user("ann", project=project, role=Role.ADMIN)
    run = factories.make_run(project, user)
    Run.objects.filter(pk=run.pk).update(max_attempts=10_000)
    return run


def claimed(run: Run) -> int:
    claim = lifecycle.claim(run.pk, slot=SLOT, queue="compute")
    assert claim is not None
    return claim.attempt


def test_a_lost_attempt_is_lost_whatever_its_log_holds(run: Run) -> None:
    for text in hostile_texts(40):
        attempt = claimed(run)
        assert lifecycle.attempt_lost(run.pk, attempt, message=text, exit_status=-9)
        run.refresh_from_db()
        assert run.state == RunState.QUEUED
        message = Attempt.objects.get(run=run, number=attempt).message
        assert message == storable_text(text)
        assert len(message) <= MAX_TEXT_CHARS


def test_a_failure_is_told_whatever_its_code_and_message_hold(run: Run, factories: Any) -> None:
    for text in hostile_texts(40):
        again = factories.make_run(run.project, run.created_by)
        attempt = claimed(again)
        assert lifecycle.finish_failed(
            again.pk, attempt, code=text, message=text, is_retryable=False, exit_status=1
        )
        again.refresh_from_db()
        assert again.state == RunState.FAILED
        assert again.error_message == storable_text(text)
        assert again.error_code == storable_text(text, max_chars=60)


def test_the_last_loss_is_told_whatever_the_log_holds(run: Run, factories: Any) -> None:
    for text in hostile_texts(5):
        again = factories.make_run(run.project, run.created_by)
        Run.objects.filter(pk=again.pk).update(max_attempts=1)
        assert lifecycle.attempt_lost(again.pk, claimed(again), message=text)
        again.refresh_from_db()
        assert (again.state, again.error_code) == (RunState.FAILED, "worker.lost")


def payloads(text: str) -> list[dict[str, Any]]:
    """Each kind of event that carries text, with this one in every place."""
    numbers = {"done": 1.0, "total": 2.0, "eta_seconds": None}
    return [
        {"kind": "RunStarted", "spec_kind": "evaluate", "spec_digest": "", "resumed_from": text},
        {"kind": "Progress", "stage": text, "unit": text, **numbers},
        {"kind": "MetricsLogged", "step": 1, "metrics": {text: 1.0}},
        {"kind": "CheckpointSaved", "step": 1, "path": text, "manifest_sha256": ""},
        {"kind": "ArtifactWritten", "output": text, "path": text},
        {"kind": "Warning", "code": text, "message": text},
        {"kind": "RunStopped", "message": text},
        {"kind": "RunFailed", "code": text, "message": text, "retryable": False},
    ]


def test_every_event_is_stored_whatever_its_texts_hold(run: Run) -> None:
    """With the escapes as a child may write them, and with bytes that are no UTF-8."""
    attempt = claimed(run)
    seq = 0
    for text in hostile_texts(40):
        for payload in payloads(text):
            seq += 1
            event = {
                "v": 1, "run_id": str(run.pk), "attempt": attempt, "seq": seq,
                "at": "2026-01-01T00:00:00.000+00:00", "kind": payload["kind"], "payload": payload,
            }  # fmt: skip
            line = json.dumps(event, ensure_ascii=seq % 2 == 0).encode(errors="surrogatepass")
            assert lifecycle.ingest_events(run.pk, attempt, [line])
    stored = RunEvent.objects.filter(run=run)
    # A NUL that is written as itself is no JSON: that line is no event, and was left out.
    assert stored.filter(kind="RunFailed").count() >= 20
    assert set(stored.values_list("kind", flat=True)) == {p["kind"] for p in payloads("")}
    for payload in stored.values_list("payload", flat=True):
        assert storable_value(payload) == payload


@pytest.mark.parametrize(
    "change",
    [
        {"at": "yesterday"},
        {"at": "0001-01-01T00:00:00+14:00"},
        {"at": "2026-01-01"},
        {"seq": 2**31},
        {"seq": 2**70},
        {"kind": "x" * 100},
        {"attempt": 2**40},
    ],
)
def test_a_line_that_no_column_can_hold_does_no_harm(run: Run, change: dict[str, Any]) -> None:
    attempt = claimed(run)
    event = {
        "v": 1, "run_id": str(run.pk), "attempt": attempt, "seq": 1,
        "at": "2026-01-01T00:00:00.000+00:00", "kind": "Warning",
        "payload": {"kind": "Warning", "code": "c", "message": "m"},
    }  # fmt: skip
    good = json.dumps(event | {"seq": 2}).encode()
    assert lifecycle.ingest_events(run.pk, attempt, [json.dumps(event | change).encode(), good])
    assert RunEvent.objects.filter(run=run, seq=2).exists()


def test_a_report_is_stored_whatever_its_texts_hold(run: Run, factories: Any) -> None:
    for text in hostile_texts(20):
        again = factories.make_run(run.project, run.created_by)
        definitions = {"as written": text.encode(errors="replace").decode()}
        report = factories.make_report(again, definitions=definitions)
        assert lifecycle.finish_succeeded(again.pk, claimed(again), report)
        again.refresh_from_db()
        expected = storable_text(definitions["as written"], max_chars=None)
        assert again.report["definitions"]["as written"] == expected

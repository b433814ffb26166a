"""What becomes of a run, by what its child does; and what people can do meanwhile."""

import json
import os
import signal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

pytestmark = pytest.mark.postgres


def attempt_dir(platform: Any, run_id: UUID, attempt: int) -> Path:
    return platform.data_dir / "runs" / str(run_id) / f"attempt-{attempt}"


def test_a_run_succeeds_and_its_events_are_stored(platform: Any) -> None:
    run_id = platform.start_run("steps=10")
    platform.wait_for_state(run_id, "succeeded", "failed")
    run = platform.run(run_id)
    assert (run["state"], run["attempt"], run["owner"]) == ("succeeded", 1, "")
    assert (run["progress_done"], run["progress_total"]) == (10, 10)
    assert platform.state(run_id) == platform.expected_state(10)
    kinds = [
        row["kind"]
        for row in platform.rows(
            "SELECT kind FROM runs_runevent WHERE run_id = ? ORDER BY attempt, seq", run_id.hex
        )
    ]
    assert (kinds[0], kinds[-1]) == ("RunStarted", "RunSucceeded")
    assert kinds.count("MetricsLogged") == 10
    assert kinds.count("CheckpointSaved") == 2


def test_the_child_is_told_no_secrets_and_no_network_hub(platform: Any) -> None:
    run_id = platform.start_run("steps=1")
    platform.wait_for_state(run_id, "succeeded")
    told = json.loads((attempt_dir(platform, run_id, 1) / "environment.json").read_text())
    assert told["HF_HUB_OFFLINE"] == "1"
    assert told["OMP_NUM_THREADS"] == str(len(os.sched_getaffinity(0)))
    assert not {"A_SECRET", "DJANGO_SETTINGS_MODULE", "STUDIO_DATA_DIR"} & set(told)


def test_the_child_holds_the_lock_of_its_slot(platform: Any) -> None:
    """A supervisor that is killed does not free the device before its child is dead."""
    run_id = platform.start_run("steps=400 pause=0.05")
    child = platform.pid_of_child(run_id)
    platform.wait_for_step(run_id, 1)
    (lock,) = (platform.data_dir / "slots").glob("*-compute-0.lock")
    holders = platform.processes_of_slot(lock)
    assert any(str(lock) in platform.open_files(process) for process in holders)
    assert os.getpriority(os.PRIO_PROCESS, child) == 10
    platform.act("run_cancel", run_id)
    platform.wait_for_state(run_id, "cancelled")


@pytest.mark.parametrize(
    ("orders", "code", "message", "num_attempts"),
    [
        ("fail=1", "train.diverged", "loss is 80", 1),
        ("fail=1 retryable=1", "train.diverged", "no attempt is left", 3),
        ("crash=3", "worker.child_crashed", "about to crash", 1),
        ("steps=1 no_report=1", "worker.report_invalid", "report.json", 1),
        ("fail=1 long_line=1", "train.diverged", "loss is 80", 1),
        ("nul=1", "worker.lost", "half a \ufffd byte", 3),
    ],
)
def test_a_failed_run_says_why(
    platform: Any, orders: str, code: str, message: str, num_attempts: int
) -> None:
    run_id = platform.start_run(orders)
    platform.wait_for_state(run_id, "succeeded", "failed")
    run = platform.run(run_id)
    assert (run["state"], run["error_code"]) == ("failed", code)
    assert message in run["error_message"]
    assert run["attempt"] == num_attempts


def test_a_child_that_was_killed_after_its_report_has_finished(platform: Any) -> None:
    """The report is written last: only the terminal event is missing, and no step is repeated."""
    run_id = platform.start_run("steps=6 die_reported=1")
    platform.wait_for_state(run_id, "succeeded", "failed")
    assert (platform.run(run_id)["state"], platform.run(run_id)["attempt"]) == ("succeeded", 1)
    assert platform.state(run_id) == platform.expected_state(6)
    assert "but its report is whole" in platform.log_text()


def test_a_damaged_checkpoint_is_passed_over_and_named(platform: Any) -> None:
    """On the run's page as the attempt's first event, and in the worker's log."""
    run_id = platform.start_run("steps=60 pause=0.05")
    platform.wait_for_step(run_id, 12)
    platform.act("run_cancel", run_id)
    platform.wait_for_state(run_id, "cancelled")
    checkpoints = attempt_dir(platform, run_id, 1) / "checkpoints"
    newest, older = sorted(
        checkpoints.glob("step-*"), key=lambda path: -int(path.name.removeprefix("step-"))
    )[:2]
    (newest / "state.json").write_text("{}")

    resumed = platform.act("run_resume", run_id)
    platform.wait_for_state(resumed, "succeeded", "failed")
    assert platform.state(resumed) == platform.expected_state(60)
    assert platform.attempts(resumed)[0]["resumed_from"].endswith(older.name)
    (warning,) = platform.rows(
        "SELECT seq, payload FROM runs_runevent WHERE run_id = ? AND kind = 'Warning'", resumed.hex
    )
    payload = json.loads(warning["payload"])
    assert (warning["seq"], payload["code"]) == (0, "train.checkpoint_skipped")
    assert f"{newest.name}/state.json is missing or has another size" in payload["message"]
    assert str(platform.data_dir) not in payload["message"]
    assert newest.name in platform.log_text()


def test_workers_say_what_they_do(platform: Any) -> None:
    run_id = platform.start_run("steps=1")
    platform.wait_for_state(run_id, "succeeded")
    log = "".join(path.read_text() for path in (platform.data_dir / "log").glob("compute-0*"))
    assert f"run {run_id} attempt 1: claimed by" in log


@pytest.mark.recipes
@pytest.mark.slow
def test_many_unread_events_cost_no_attempt(new_platform: Any) -> None:
    """They take longer to store than the lease is, so the supervisor goes on renewing it."""
    new_platform.environment["STUDIO_LEASE_SECONDS"] = "3"
    new_platform.start()
    run_id = new_platform.start_run("steps=1 events=40000")
    new_platform.wait_for_state(run_id, "succeeded", "failed")
    assert (new_platform.run(run_id)["state"], new_platform.run(run_id)["attempt"]) == (
        "succeeded",
        1,
    )
    sql = "SELECT count(*) AS n FROM runs_runevent WHERE run_id = ? AND kind = 'MetricsLogged'"
    assert new_platform.rows(sql, run_id.hex) == [{"n": 40_001}]


def test_a_chatty_child_leaves_a_short_log_and_its_last_words(platform: Any) -> None:
    """60 MB without a line end, which is no UTF-8 either."""
    run_id = platform.start_run("chatter=60")
    platform.wait_for_state(run_id, "failed")
    run = platform.run(run_id)
    assert run["error_code"] == "worker.child_crashed"
    assert "the end of its log" in run["error_message"]
    assert run["error_message"].endswith("chatter")
    assert (attempt_dir(platform, run_id, 1) / "stderr.log").stat().st_size < 10_000_000


def test_a_cancelled_run_saves_and_a_resumed_one_goes_on(platform: Any) -> None:
    run_id = platform.start_run("steps=60 pause=0.05")
    platform.wait_for_step(run_id, 7)
    platform.act("run_cancel", run_id)
    platform.wait_for_state(run_id, "cancelled")
    (attempt,) = platform.attempts(run_id)
    assert (attempt["state"], attempt["exit_status"]) == ("stopped", 75)

    resumed = platform.act("run_resume", run_id)
    platform.wait_for_state(resumed, "succeeded", "failed")
    assert platform.state(resumed) == platform.expected_state(60)
    assert f"{run_id}/attempt-1/checkpoints" in platform.attempts(resumed)[0]["resumed_from"]


def test_a_child_that_ignores_the_request_is_killed_after_the_grace(platform: Any) -> None:
    run_id = platform.start_run("steps=400 pause=0.05 ignore_term=1")
    platform.wait_for_step(run_id, 1)
    child = platform.pid_of_child(run_id)
    platform.act("run_cancel", run_id)
    assert platform.wait_for_state(run_id, "cancelled") > 1
    assert not platform.is_alive(child)


def test_what_a_dead_child_started_does_not_stay(platform: Any) -> None:
    """It left the process group; the mark in its environment still gives it away."""
    run_id = platform.start_run("steps=100 pause=0.05 leave_behind=1")
    platform.wait_for_step(run_id, 1)
    (lock,) = (platform.data_dir / "slots").glob("*-compute-0.lock")
    (left_behind,) = (
        process
        for process in platform.processes_of_slot(lock)
        if platform.command_line(process).startswith("sleep 600")
    )
    os.kill(platform.pid_of_child(run_id), signal.SIGKILL)
    platform.wait(lambda: not platform.is_alive(left_behind))
    platform.act("run_cancel", run_id)
    platform.wait_for_state(run_id, "cancelled")


def test_an_import_does_not_wait_for_training(platform: Any) -> None:
    """A real file through the real readers, while the compute slot is taken."""
    long = platform.start_run("steps=2000 pause=0.05")
    platform.wait_for_step(long, 1)
    file = platform.data_dir / "models" / "corpus.jsonl"
    rows = ({"id": str(n), "text": f"Document {n}."} for n in range(20))
    file.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    (short,) = platform.start_runs(
        {
            "kind": "import_dataset",
            "source": {"path": str(file)},
            "file_name": "corpus.jsonl",
            "dataset_kind": "corpus",
        }
    )
    platform.wait_for_state(short, "succeeded", "failed")
    assert platform.run(short)["error_message"] == ""
    assert json.loads(platform.run(short)["report"])["results"]["manifest"]["num_rows"] == 20
    assert platform.run(long)["state"] == "running"
    platform.act("run_cancel", long)
    platform.wait_for_state(long, "cancelled")


def test_a_plan_hands_each_step_the_output_of_the_one_before(platform: Any) -> None:
    reader = platform.spec("steps=1", model={"from_step": "train", "output": "state"})
    plan = {
        "kind": "plan",
        "steps": [
            {"id": "train", "spec": platform.spec("steps=6")},
            {"id": "judge", "spec": reader},
        ],
    }
    plan_id = platform.start_runs(plan)[0]

    def steps() -> dict[str, dict[str, Any]]:
        rows = platform.rows("SELECT * FROM runs_run WHERE plan_id = ?", plan_id.hex)
        return {row["step_id"]: row for row in rows}

    platform.wait(lambda: steps()["judge"]["state"] == "succeeded")
    model = json.loads(steps()["judge"]["spec"])["model"]["path"]
    train_id = UUID(steps()["train"]["id"])
    assert model == str(attempt_dir(platform, train_id, 1) / "state.txt")


@pytest.mark.recipes
def test_a_paused_supervisor_is_fenced_when_it_wakes(platform: Any) -> None:
    """Its lease ran out, but its child still had the device: the next attempt had to wait."""
    run_id = platform.start_run("steps=400 pause=0.05")
    platform.wait_for_step(run_id, 6)
    child = platform.pid_of_child(run_id)
    supervisor = platform.parent(child)
    os.kill(supervisor, signal.SIGSTOP)
    try:
        platform.wait_for_state(run_id, "queued")
        assert platform.attempts(run_id)[0]["state"] == "lost"
        assert platform.is_alive(child)
    finally:
        os.kill(supervisor, signal.SIGCONT)
    platform.wait(lambda: not platform.is_alive(child))
    platform.wait(lambda: platform.run(run_id)["attempt"] == 2)
    platform.wait_for_state(run_id, "succeeded")
    assert platform.state(run_id) == platform.expected_state(400)

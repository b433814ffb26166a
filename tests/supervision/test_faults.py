"""Kill -9 of every process, one at a time, while a run works. It ends as if nothing had been.

The counting program's final state is that of an undisturbed run only if no step was skipped or
repeated, and the database refuses two live attempts on one slot.
"""

import os
import signal
import time
import urllib.request
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

pytestmark = pytest.mark.postgres

STEPS = 60
ORDERS = f"steps={STEPS} pause=0.04"
WORKER = ("workers worker compute-0",)


def the_child(platform: Any, run_id: UUID) -> int:
    return platform.pid_of_child(run_id)


def the_pool_process(platform: Any, _run_id: UUID) -> int:
    main = platform.pid_of(*WORKER)
    return next(pid for pid in platform.children(main) if "worker" in platform.command_line(pid))


def the_worker(platform: Any, _run_id: UUID) -> int:
    return platform.pid_of(*WORKER)


@pytest.mark.parametrize(
    ("victim", "num_lost"), [(the_child, 1), (the_pool_process, 1), (the_worker, 0)]
)
def test_a_run_survives_the_kill_of(
    platform: Any, victim: Callable[[Any, UUID], int], num_lost: int
) -> None:
    """A killed worker's supervisor still stops its child at a checkpoint, so that costs nothing."""
    run_id = platform.start_run(ORDERS)
    platform.wait_for_step(run_id, 12)
    child = platform.pid_of_child(run_id)
    os.kill(victim(platform, run_id), signal.SIGKILL)
    platform.wait(lambda: platform.run(run_id)["attempt"] == 2)
    assert not platform.is_alive(child)
    platform.wait_for_state(run_id, "succeeded", "failed")

    run = platform.run(run_id)
    assert (run["state"], run["num_lost"]) == ("succeeded", num_lost)
    assert platform.state(run_id) == platform.expected_state(STEPS)
    assert "/attempt-1/checkpoints/step-" in platform.attempts(run_id)[1]["resumed_from"]


@pytest.mark.parametrize("victim", ["valkey-server", "workers dispatcher", "manage serve"])
def test_a_run_does_not_notice_the_kill_of(platform: Any, victim: str) -> None:
    """And the service works again: the next run is found, claimed and shown."""
    run_id = platform.start_run(ORDERS)
    platform.wait_for_step(run_id, 3)
    killed = platform.pid_of(victim)
    os.kill(killed, signal.SIGKILL)
    platform.wait(lambda: set(platform.pids_of(victim)) - {killed})
    following = platform.start_run("steps=2")
    platform.wait_for_state(run_id, "succeeded", "failed")
    assert platform.run(run_id)["attempt"] == 1
    assert platform.state(run_id) == platform.expected_state(STEPS)
    platform.wait_for_state(following, "succeeded")
    with urllib.request.urlopen(f"http://127.0.0.1:{platform.port}/sign-in/") as response:
        assert response.status == 200


def test_messages_that_the_broker_lost_are_sent_again(platform: Any) -> None:
    first = platform.start_run("steps=40 pause=0.05")
    waiting = [platform.start_run("steps=2") for _ in range(2)]
    platform.wait_for_step(first, 2)
    platform.wait(lambda: not platform.rows("SELECT 1 FROM runs_outbox WHERE sent_at IS NULL"))
    platform.flush_broker()
    for run_id in (first, *waiting):
        platform.wait_for_state(run_id, "succeeded")
        assert platform.run(run_id)["attempt"] == 1


def test_a_run_whose_message_was_lost_is_not_overtaken(platform: Any) -> None:
    """Messages of newer runs keep the queue from being empty, so its own is not sent again."""
    busy = platform.start_run("steps=400 pause=0.05")
    platform.wait_for_step(busy, 1)
    oldest = platform.start_run("steps=1")
    platform.wait(lambda: not platform.rows("SELECT 1 FROM runs_outbox WHERE sent_at IS NULL"))
    platform.flush_broker()
    newer = [platform.start_run("steps=5 pause=0.05") for _ in range(3)]
    platform.wait(lambda: not platform.rows("SELECT 1 FROM runs_outbox WHERE sent_at IS NULL"))
    platform.act("run_cancel", busy)
    for run_id in (oldest, *newer):
        platform.wait_for_state(run_id, "succeeded")
    started = [platform.run(run_id)["started_at"] for run_id in (oldest, *newer)]
    assert started == sorted(started)


def test_a_message_that_waits_behind_a_busy_worker_is_not_repeated(platform: Any) -> None:
    """Or the queue of a worker that trains for a day would hold thousands of them."""
    busy, waiting = platform.start_run("steps=400 pause=0.05"), platform.start_run("steps=1")
    platform.wait_for_step(busy, 1)
    platform.wait(lambda: not platform.rows("SELECT 1 FROM runs_outbox WHERE sent_at IS NULL"))
    assert platform.ask("send_due_messages", 0) == 0
    platform.flush_broker()
    assert platform.ask("send_due_messages", 0) == 1
    platform.act("run_cancel", busy)
    platform.wait_for_state(waiting, "succeeded")


def test_a_duplicated_message_runs_nothing_twice(platform: Any) -> None:
    run_id = platform.start_run("steps=20 pause=0.05")
    platform.wait_for_step(run_id, 1)
    for _ in range(3):
        platform.send_wake_up(run_id)
    platform.wait_for_state(run_id, "succeeded")
    time.sleep(0.5)
    assert len(platform.attempts(run_id)) == 1


@pytest.mark.recipes
def test_up_killed_or_stopped_and_started_again_continues(new_platform: Any) -> None:
    """The stop is quick, saves a checkpoint, and is not held against the run; the kill is."""
    new_platform.start()
    run_id = new_platform.start_run(f"steps={2 * STEPS} pause=0.04")
    new_platform.wait_for_step(run_id, 12)
    child = new_platform.pid_of_child(run_id)
    new_platform.stop(signal.SIGKILL)

    new_platform.start()
    new_platform.wait(lambda: new_platform.run(run_id)["attempt"] == 2)
    assert not new_platform.is_alive(child)
    new_platform.wait_for_step(run_id, STEPS)
    descendants = new_platform.descendants()
    assert new_platform.stop() < 60
    assert not [pid for pid in descendants if new_platform.is_alive(pid)]
    run = new_platform.run(run_id)
    assert (run["state"], run["lease_expires_at"]) == ("queued", None)
    assert new_platform.attempts(run_id)[1]["state"] == "stopped"
    num_lost = run["num_lost"]

    new_platform.start()
    new_platform.wait_for_state(run_id, "succeeded")
    assert new_platform.state(run_id) == new_platform.expected_state(2 * STEPS)
    assert new_platform.run(run_id)["num_lost"] == num_lost
    assert all(attempt["resumed_from"] for attempt in new_platform.attempts(run_id)[1:])

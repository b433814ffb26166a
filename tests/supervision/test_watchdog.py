"""The watchdog acts in time whatever its caller does, and never on a stranger's process."""

import contextlib
import os
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from studio.accounts.models import Role
from studio.runs import lifecycle
from studio.runs.lifecycle import Claim
from workers.child import Child
from workers.devices import DeviceSlot
from workers.lease import Lease
from workers.watchdog import Watchdog

pytestmark = pytest.mark.postgres


def test_it_acts_once_nothing_was_confirmed_and_until_something_is() -> None:
    acted: list[float] = []
    began = time.monotonic()
    with Watchdog(lambda: acted.append(time.monotonic() - began), limit_seconds=0.4) as watchdog:
        for _ in range(5):
            time.sleep(0.1)
            watchdog.confirm(time.monotonic())
        assert not acted
        time.sleep(1.2)
        assert watchdog.has_acted
        assert 0.85 < acted[0] < 1.2
        assert len(acted) >= 2, "it acts again: what it kills may not have been there yet"
        watchdog.confirm(time.monotonic())
        assert not watchdog.is_overdue
    num_acted = len(acted)
    time.sleep(0.6)
    assert len(acted) == num_acted


def test_a_confirmation_counts_from_when_it_was_asked_for() -> None:
    acted = threading.Event()
    asked_at = time.monotonic() - 10
    with Watchdog(acted.set, limit_seconds=5, confirmed_at=asked_at):
        assert acted.wait(1)


def test_a_reaped_childs_process_id_is_never_signalled(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By then it may be another process's: two threads, one kills while the other reaps."""
    settings.STUDIO_DATA_DIR = tmp_path
    settings.STUDIO_PIPELINE_COMMAND = (sys.executable, "-S", "-c", "pass")
    strangers: list[int] = []
    killpg = os.killpg

    def slow_killpg(pid: int, number: int) -> None:
        time.sleep(0.02)  # the reaper's chance
        if not Path(f"/proc/{pid}").exists():
            strangers.append(pid)
        with contextlib.suppress(ProcessLookupError):
            killpg(pid, number)

    monkeypatch.setattr(os, "killpg", slow_killpg)
    slot = DeviceSlot(name="compute-0", queue="compute", lock_dir=tmp_path)
    with slot.acquired(timeout_seconds=0) as lock:
        assert lock is not None
        for _ in range(10):
            claim = Claim(
                run_id=uuid.uuid4(), attempt=1, kind="evaluate", queue="compute", spec={},
                spec_digest="", earlier_attempts=(),
            )  # fmt: skip
            child = Child(claim, slot=slot, lock=lock, resume_from=None)
            with Watchdog(child.kill_group, limit_seconds=0):
                while child.poll() is None:
                    time.sleep(0.001)
            child.kill()
    assert strangers == []


@pytest.mark.django_db(transaction=True)
def test_a_write_that_is_refused_for_ever_is_given_up(factories: Any, settings: Any) -> None:
    """The database renews the lease, so nothing else would end the run that waits for it."""
    project = factories.make_project()
    ann = factories.make_user("ann", project=project, role=Role.ENGINEER)
    run = factories.make_run(project, ann)
    claim = lifecycle.claim(run.pk, slot="here/compute-0", queue=run.queue)
    assert claim is not None
    settings.STUDIO_LEASE_SECONDS = 0.3

    def refuse() -> bool:
        raise OperationalError("canceling statement due to statement timeout")

    began = time.monotonic()
    with Watchdog(lambda: None, limit_seconds=60) as moving:
        with Lease(claim, asked_at=began, moving=moving) as lease:
            with pytest.raises(OperationalError, match="statement timeout"):
                lease.store(refuse)
    assert 1.2 < time.monotonic() - began < 5

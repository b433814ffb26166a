"""`manage.py up`, the embedded broker and the guards around them."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from workers.devices import DeviceSlot, slot_of_owner
from workers.event_tail import EventTail
from workers.exec_child import die_with_parent

ROOT = Path(__file__).resolve().parents[2]


def test_only_one_up_for_a_data_directory(platform: Any) -> None:
    second = subprocess.run(
        [sys.executable, "manage.py", "up", "--port", "1"], cwd=ROOT, env=platform.environment,
        capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert f":{platform.port}" in second.stderr
    assert platform.is_up()


def test_the_first_start_offers_the_setup_link(platform: Any) -> None:
    assert f"http://127.0.0.1:{platform.port}/setup/" in platform.output()


def test_expired_attempts_can_be_looked_at_by_command(platform: Any) -> None:
    assert "0 attempts would be given up" in platform.python(
        "manage.py", "recover_runs", "--dry-run"
    )


@pytest.fixture
def broker(new_platform: Any) -> Iterator[Any]:
    """Starts brokers for the platform's data directory, and ends them."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> tuple[subprocess.Popen[bytes], redis.Redis]:
        socket_path = new_platform.broker_socket()
        process = subprocess.Popen(
            [sys.executable, "-m", "workers", "broker"], cwd=ROOT, env=new_platform.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        started.append(process)
        client = redis.Redis(unix_socket_path=str(socket_path), decode_responses=True)
        deadline = time.monotonic() + 20
        while True:
            try:
                if client.info("server")["process_id"] == process.pid:
                    return process, client
            except redis.ConnectionError:
                pass
            assert time.monotonic() < deadline
            time.sleep(0.05)

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_an_orphaned_broker_is_replaced_and_keeps_its_messages(
    broker: Any, new_platform: Any
) -> None:
    orphan, client = broker()
    client.set("message", "kept")
    assert client.config_get("port") == {"port": "0"}
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    mode = new_platform.broker_socket().stat().st_mode
    assert stat.S_IMODE(mode) == 0o700

    successor, client = broker()
    assert orphan.wait(timeout=30) == 0
    assert client.get("message") == "kept"
    successor.kill()
    successor.wait()
    _, client = broker()
    assert client.get("message") == "kept"


def test_a_deep_directory_gets_a_short_socket_path(tmp_path: Path) -> None:
    from studio.environment import broker_socket

    deep = tmp_path / ("d" * 120)
    assert len(os.fsencode(broker_socket(deep))) < 108
    assert broker_socket(deep) != broker_socket(tmp_path / ("e" * 120))
    assert broker_socket(Path("/srv/studio")) == Path("/srv/studio/broker/valkey.sock")


def test_a_slot_has_one_holder_until_its_child_is_gone(tmp_path: Path) -> None:
    slot = DeviceSlot(name="compute-0", queue="compute", lock_dir=tmp_path)
    with slot.acquired(timeout_seconds=0) as lock:
        assert lock is not None
        child = subprocess.Popen(["sleep", "60"], pass_fds=(lock,))
    with slot.acquired(timeout_seconds=0) as lock:
        assert lock is None, "the child still holds the slot"
    child.kill()
    child.wait()
    with slot.acquired(timeout_seconds=1) as lock:
        assert lock is not None


def test_only_this_machines_slots_are_judged_by_their_lock(tmp_path: Path) -> None:
    slot = DeviceSlot(name="compute-0", queue="compute", lock_dir=tmp_path)
    assert slot_of_owner(slot.owner, tmp_path) == slot
    assert slot_of_owner("elsewhere/compute-0", tmp_path) is None


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    guard = Path(die_with_parent.__code__.co_filename)
    pid_file = tmp_path / "pid"
    script = (
        "import os, subprocess, sys, time\n"
        f"guard = [sys.executable, {str(guard)!r}, str(os.getpid()), '9', '0', '0']\n"
        "command = [*guard, 'sleep', '60']\n"
        f"open({str(pid_file)!r}, 'w').write(str(subprocess.Popen(command).pid))\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 10
    while not (pid_file.exists() and pid_file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child = int(pid_file.read_text())
    while not Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"sleep"):
        time.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while Path(f"/proc/{child}").exists():
        if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            break
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_child_whose_parent_died_first_does_not_start(tmp_path: Path) -> None:
    guard = die_with_parent.__code__.co_filename
    started = tmp_path / "started"
    command = [sys.executable, guard, "1", "9", "0", "0", "touch", str(started)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not started.exists()


def test_a_child_cannot_take_more_memory_than_it_is_given() -> None:
    guard = die_with_parent.__code__.co_filename
    limit = 200_000_000
    command = [sys.executable, guard, str(os.getpid()), "9", "0", str(limit), sys.executable, "-c"]
    assert subprocess.run([*command, "bytearray(50_000_000)"], check=False).returncode == 0
    greedy = subprocess.run(
        [*command, "bytearray(250_000_000)"], check=False, capture_output=True, text=True
    )
    assert "MemoryError" in greedy.stderr


def test_a_tail_gives_whole_lines_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    tail = EventTail(path)
    assert tail.read_lines() == []
    with path.open("ab", buffering=0) as file:
        file.write(b"one\ntw")
        assert tail.read_lines() == [b"one"]
        file.write(b"o\n")
        assert tail.read_lines() == [b"two"]
        assert tail.read_lines() == []
    tail.close()

"""Clients that are slow, many or large: what they may hold, and that others do not notice."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.supervision.slow_application import LIMITS

ROOT = Path(__file__).resolve().parents[2]
HALF_BODY = b"POST /sign-in/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nusername="
HALF_HEADER = b"GET /sign-in/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "
NUM_SLOW = 60


class Server:
    """A process that serves `slow_application`."""

    def __init__(self, directory: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        roots = os.pathsep.join((str(ROOT / "platform"), str(ROOT)))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.supervision.slow_application", str(self.port)],
            cwd=ROOT, env=os.environ | {"PYTHONPATH": roots, "TMPDIR": str(directory)},
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while True:
            with suppress(OSError):
                self.connect().close()
                return
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def connect(self, first_bytes: bytes = b"") -> socket.socket:
        """A connection on which something was sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=15)
        connection.sendall(first_bytes)
        return connection

    def get(self, path: str = "/") -> bytes:
        """What a page answers, within a second."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=1) as response:
            return response.read()

    def holds(self, connection: socket.socket) -> bool:
        """Whether its end of a connection is open: established, as the kernel tells it."""
        ends = f"0100007F:{self.port:04X} 0100007F:{connection.getsockname()[1]:04X} 01"
        return ends in Path("/proc/net/tcp").read_text()

    def peak_memory_bytes(self) -> int:
        """Most memory the process has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("bodies"))
    yield server
    server.process.terminate()
    assert server.process.wait(timeout=20) == 0


SLOW = {
    "nothing": (b"", b""),
    "half a header": (HALF_HEADER, b""),
    "a header byte by byte": (HALF_HEADER, b"x"),
    "half a body": (HALF_BODY, b""),
    "a body byte by byte": (HALF_BODY.replace(b"1000", b"100000"), b"x"),
    "idle after an answer": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b""),
}


def seconds_until_closed(server: Server, first_bytes: bytes, drip: bytes) -> float:
    """How long the server kept a connection to which `drip` is sent ten times a second."""
    with server.connect(first_bytes) as connection:
        began = time.monotonic()
        connection.settimeout(0.1)
        while time.monotonic() - began < 20:
            try:
                connection.sendall(drip)
                if connection.recv(1 << 16) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        return time.monotonic() - began


def bytes_read_late(server: Server) -> int:
    """What is left of 8 MB for a client that reads nothing until the server gives it up."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        deadline = time.monotonic() + 60  # a busy machine looks at its windows late
        while server.holds(connection):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        received = 0
        with suppress(OSError):  # reset: the rest was thrown away
            connection.settimeout(5)
            while chunk := connection.recv(1 << 16):
                received += len(chunk)
        return received


def answer_to_steady_body(server: Server) -> bytes:
    """What came of a body that took several windows and was never slower than it may be."""
    header = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 120000\r\n\r\n"
    with server.connect(header) as connection:
        for _ in range(60):
            connection.sendall(b"x" * 2000)
            time.sleep(4 * LIMITS.window_seconds / 60)
        return connection.recv(1 << 16)


def test_a_client_may_be_steady_but_not_slow(server: Server) -> None:
    """An upload that makes progress outlives every deadline; what makes none does not."""
    with ThreadPoolExecutor(len(SLOW) + 2) as executor:
        late = executor.submit(bytes_read_late, server)
        steady = executor.submit(answer_to_steady_body, server)
        closed = {
            name: executor.submit(seconds_until_closed, server, *sent)
            for name, sent in SLOW.items()
        }
        seconds = {name: each.result() for name, each in closed.items()}
        assert {name: each for name, each in seconds.items() if not 1 < each < 10} == {}
        assert late.result() < 8_000_000
        assert steady.result().endswith(b"120000")


def test_a_large_body_goes_to_disk_and_not_into_memory(server: Server) -> None:
    num_bytes = 300_000_000
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/", headers={"Content-Length": str(num_bytes)})
    block = b"x" * 1_000_000
    for _ in range(num_bytes // len(block)):
        connection.send(block)
    assert connection.getresponse().read() == b"%d" % num_bytes
    connection.close()
    assert server.peak_memory_bytes() < 150_000_000


def test_a_body_above_the_cap_is_refused_at_once(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("POST", "/", headers={"Content-Length": "400000001"})
    assert connection.getresponse().status == 413
    connection.close()


def test_all_bodies_together_are_bounded(server: Server) -> None:
    header = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 390000000\r\n\r\n"
    block = b"x" * 1_000_000
    with ExitStack() as held, suppress(OSError):
        senders = [held.enter_context(server.connect(header)) for _ in range(8)]
        # Far more than comes in a second: it looks every second, later when others compute.
        for number in range(9 * LIMITS.all_bodies_bytes // len(block)):
            senders[number % 8].sendall(block)
        pytest.fail("the server kept more than it may")


def test_at_the_cap_of_connections_the_one_that_waited_longest_makes_room(server: Server) -> None:
    with ExitStack() as held:
        for _ in range(3 * LIMITS.num_connections):
            held.enter_context(server.connect(HALF_HEADER))
        began = time.monotonic()
        answered = False
        while not answered and time.monotonic() - began < 15:
            with suppress(OSError):
                answered = server.get() == b"0"
        assert answered


def test_an_answer_that_is_asked_for_before_the_end_is_given(tmp_path: Path) -> None:
    ending = Server(tmp_path)
    with ending.connect(
        b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    ) as connection:
        time.sleep(0.3)
        ending.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        received = 0
        while chunk := connection.recv(1 << 16):
            received += len(chunk)
    assert ending.process.wait(timeout=20) == 0
    assert received > 8_000_000


@pytest.mark.parametrize("half", [HALF_BODY, HALF_HEADER], ids=["bodies", "headers"])
def test_pages_answer_while_many_have_sent_half(platform: Any, half: bytes) -> None:
    """Forty half-sent bodies once took every thread of the platform's web server."""
    address = ("127.0.0.1", platform.port)
    took = []
    with ExitStack() as held:
        for _ in range(NUM_SLOW):
            slow = held.enter_context(socket.create_connection(address, timeout=10))
            slow.sendall(half)
        time.sleep(0.5)
        for _ in range(5):
            began = time.monotonic()
            url = f"http://127.0.0.1:{platform.port}/sign-in/"
            with urllib.request.urlopen(url, timeout=10) as response:
                assert response.status == 200
            took.append(time.monotonic() - began)
    assert sorted(took)[2] < 1

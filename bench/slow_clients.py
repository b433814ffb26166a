"""Pages while 200 slow clients hold connections: our web server, and rivals with the same pages.

Each server answers a signed-in page to four readers, first alone and then while others keep 200
connections open on which a request is half sent (one more byte a second) or an answer is not read.
A page that is not there within five seconds counts as five. Budget: p95 below one second.
"""

import argparse
import contextlib
import http.client
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from bench.protocol import Result, Table, interleaved, paired_ratios, percentile, quartiles

ROOT = Path(__file__).resolve().parent.parent
BUDGET_SECONDS = 1.0
TIMEOUT_SECONDS = 5.0
MEASURED_SECONDS = 5.0
NUM_READERS = 4
SESSION_SCRIPT = """
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from studio.accounts.models import Membership, Project, Role, User
user = User.objects.create_user("reader", password="not-for-signing-in")
project = Project.objects.create(slug="bench", name="Bench")
Membership.objects.create(project=project, user=user, role=Role.ENGINEER)
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.create()
print("session", session.session_key)
"""
# What `up` started before it had a server of its own, and others that serve the same application.
SERVERS: dict[str, Callable[[int, Path], list[str]]] = {
    "ours": lambda port, _: ["manage", "serve", "--port", str(port)],
    "gunicorn": lambda port, directory: [
        "gunicorn", "studio.wsgi:application", "--bind", f"127.0.0.1:{port}", "--workers", "2",
        "--threads", "4", "--worker-tmp-dir", str(directory), "--no-control-socket",
    ],
    "granian": lambda port, _: [
        "granian", "studio.wsgi:application", "--interface", "wsgi", "--host", "127.0.0.1",
        "--port", str(port), "--workers", "2", "--blocking-threads", "4",
    ],
    "cheroot": lambda port, _: [
        "cheroot", "studio.wsgi:application", "--bind", f"127.0.0.1:{port}", "--threads", "8",
        "--max-threads", "8",
    ],
}  # fmt: skip
HALF_BODY = b"POST /sign-in/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nusername="
HALF_HEADER = b"GET /sign-in/ HTTP/1.1\r\nHost: localhost\r\nX-Half: "
LARGEST = max((ROOT / "platform/studio/static").rglob("*.js"), key=lambda path: path.stat().st_size)
UNREAD = (
    f"GET /static/{LARGEST.relative_to(ROOT / 'platform/studio/static')} HTTP/1.1\r\n"
    "Host: localhost\r\n\r\n"
).encode()
SLOW: dict[str, tuple[bytes, bytes]] = {
    "none": (b"", b""),
    "half_bodies": (HALF_BODY, b"x"),
    "half_headers": (HALF_HEADER, b"x"),
    "unread_answers": (UNREAD, b""),
}
"""What each slow client sends at first, and then every second."""


def run(arguments: Sequence[str]) -> Result:
    """p95 of a page for each server and each kind of slow client."""
    parser = argparse.ArgumentParser(prog="python -m bench slow_clients")
    parser.add_argument("--rivals", nargs="*", default=["gunicorn"], choices=list(SERVERS)[1:])
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    names = ["ours", *(name for name in options.rivals if importlib.util.find_spec(name))]
    directory = Path(tempfile.mkdtemp(prefix="bench-slow-clients-"))
    try:
        with contextlib.ExitStack() as stack:
            cookie = _prepare(directory)
            ports = {name: stack.enter_context(_served(name, directory)) for name in names}
            measured = {
                slow: interleaved(
                    {
                        name: partial(_p95_seconds, port, cookie, slow, options.connections)
                        for name, port in ports.items()
                    },
                    repeats=options.repeats,
                )
                for slow in SLOW
            }
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return _result(measured)


def _result(measured: dict[str, dict[str, list[float]]]) -> Result:
    figures: dict[str, float] = {}
    ratios: dict[str, float] = {}
    spread: dict[str, tuple[float, float]] = {}
    rows: list[list[object]] = []
    for slow, by_server in measured.items():
        for name, seconds in by_server.items():
            key = f"{name}_{slow}_p95_seconds"
            figures[key] = percentile(seconds, 0.5)
            spread[key] = quartiles(seconds)
            if name != "ours":
                found = paired_ratios(by_server["ours"], seconds)
                ratios[f"ours_vs_{name}_{slow}"] = percentile(found, 0.5)
                spread[f"ours_vs_{name}_{slow}"] = quartiles(found)
        medians = [figures[f"{name}_{slow}_p95_seconds"] for name in by_server]
        rows.append([slow.replace("_", " "), *medians])
    failures = [
        f"p95 of a page is {max(seconds):.2f} s with {slow}, budget {BUDGET_SECONDS} s"
        for slow, by_server in measured.items()
        if max(seconds := by_server["ours"]) >= BUDGET_SECONDS
    ]
    columns = ["slow clients", *(f"{name}, p95 in s" for name in next(iter(measured.values())))]
    return Result(
        table=Table(columns=columns, rows=rows),
        figures=figures,
        ratios=ratios,
        spread=spread,
        failures=failures,
    )


def _environment(directory: Path) -> dict[str, str]:
    roots = [str(ROOT / "platform"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    others = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return others | {
        "STUDIO_DATA_DIR": str(directory),
        "DJANGO_SETTINGS_MODULE": "studio.settings",
        "PYTHONPATH": os.pathsep.join(filter(None, roots)),
    }


def _prepare(directory: Path) -> str:
    """The session of somebody who is signed in; the database is there."""
    output = ""
    for command in (["migrate", "--verbosity", "0"], ["shell", "--command", SESSION_SCRIPT]):
        output = subprocess.run(  # noqa: S603 (our own program)
            [sys.executable, "manage.py", *command], cwd=ROOT, env=_environment(directory),
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    return f"sessionid={output.split()[-1]}"


@contextlib.contextmanager
def _served(name: str, directory: Path) -> Iterator[int]:
    """The port of a server that answers."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    with (directory / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 (the servers above)
            [sys.executable, "-m", *SERVERS[name](port, directory)], cwd=ROOT,
            env=_environment(directory), stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while _page_seconds(port, "") >= TIMEOUT_SECONDS:
            if time.monotonic() > deadline:
                raise RuntimeError((directory / f"{name}.log").read_text())
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()


def _page_seconds(port: int, cookie: str) -> float:
    """How long a page took, at most `TIMEOUT_SECONDS`."""
    began = time.monotonic()
    path = "/p/bench/runs/" if cookie else "/sign-in/"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path, headers={"Cookie": cookie, "Connection": "close"})
        response = connection.getresponse()
        response.read()
        if response.status != http.client.OK:
            raise RuntimeError(f"{path} answered with status {response.status}")
    except OSError:
        return TIMEOUT_SECONDS
    finally:
        connection.close()
    return min(TIMEOUT_SECONDS, time.monotonic() - began)


def _p95_seconds(port: int, cookie: str, slow: str, num_connections: int) -> float:
    """p95 of the pages that four readers got while slow clients held their connections."""
    took: list[float] = []

    def read() -> None:
        until = time.monotonic() + MEASURED_SECONDS
        while time.monotonic() < until:
            took.append(_page_seconds(port, cookie))

    number = 0 if slow == "none" else num_connections
    with _SlowClients(port, *SLOW[slow], number=number), ThreadPoolExecutor(NUM_READERS) as pool:
        for future in [pool.submit(read) for _ in range(NUM_READERS)]:
            future.result()
    print(f"{slow} at port {port}: {len(took)} pages", file=sys.stderr)
    return percentile(took, 0.95)


class _SlowClients:
    """Connections that are kept; one that the server closes is opened again."""

    def __init__(self, port: int, first: bytes, then: bytes, *, number: int) -> None:
        self._port, self._first, self._then = port, first, then
        self._connections: list[socket.socket | None] = [None] * number
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep)

    def __enter__(self) -> None:
        self._look()
        self._thread.start()

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        self._thread.join()
        for connection in filter(None, self._connections):
            connection.close()

    def _keep(self) -> None:
        while not self._ended.wait(1):
            self._look()

    def _look(self) -> None:
        for index, connection in enumerate(self._connections):
            try:
                if connection is None:
                    self._connections[index] = self._open()
                elif connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise ConnectionResetError
                else:
                    connection.sendall(self._then)
            except OSError:
                if connection is not None:
                    connection.close()
                self._connections[index] = None

    def _open(self) -> socket.socket:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.settimeout(0.2)
        connection.connect(("127.0.0.1", self._port))
        connection.sendall(self._first)
        return connection

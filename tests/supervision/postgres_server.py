"""A PostgreSQL server of its own in a temporary directory, for tests that need the real thing."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

USER = "postgres"
START_SECONDS = 60.0
# Nothing here has to outlive a power cut.
OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


@contextlib.contextmanager
def postgres_server() -> Iterator[int]:
    """The port on 127.0.0.1 of a server with an empty database `studio` and a user `postgres`.

    The server refuses to run as root, so root starts it as Debian's user `postgres`. The kernel
    ends it with this process.
    """
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not binaries:
        pytest.fail("no PostgreSQL server here: apt-get install postgresql")
    folder = binaries[-1].parent
    user = USER if os.geteuid() == 0 else None
    # Not below pytest's own folder, which only its user can enter.
    base = Path(tempfile.mkdtemp(prefix="studio-postgres-"))
    if user is not None:
        shutil.chown(base, user, user)
    data_dir = base / "data"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    try:
        initdb = [folder / "initdb", "--auth=trust", "--no-sync", f"--username={USER}"]
        subprocess.run(
            [*initdb, "--encoding=UTF8", "--locale=C", data_dir],
            check=True, capture_output=True, cwd=base, user=user, group=user, extra_groups=[],
        )  # fmt: skip
        options = [f"-c{option}" for option in (*OPTIONS, f"port={port}")]
        dies_with_us = ("setpriv", "--pdeathsig", "QUIT")
        with (base / "server.log").open("wb") as log:
            server = subprocess.Popen(
                [*dies_with_us, folder / "postgres", "-D", data_dir, f"-k{base}", *options],
                stdout=log, stderr=log, cwd=base, user=user, group=user, extra_groups=[],
            )  # fmt: skip
        try:
            _create_database(server, port)
            yield port
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait()
    finally:
        shutil.rmtree(base, ignore_errors=True)


def database_url(port: int) -> str:
    """What DATABASE_URL says of the server, directly or through a proxy on `port`."""
    return f"postgresql://{USER}@127.0.0.1:{port}/studio"


def _create_database(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with psycopg.connect(
                host="127.0.0.1", port=port, user=USER, dbname="postgres", autocommit=True
            ) as connection:
                connection.execute("CREATE DATABASE studio")
                return
        except psycopg.OperationalError:
            assert server.poll() is None, "the server ended; see its log"
            assert time.monotonic() < deadline
            time.sleep(0.1)

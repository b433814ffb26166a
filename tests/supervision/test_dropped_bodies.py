"""A body that the disk has no room for: the client gets our page, not a closed connection."""

import contextlib
import http.client
import itertools
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.small_disk import small_disk
from tests.supervision.local_platform import ROOT, Platform

pytestmark = pytest.mark.slow

NUM_BYTES = 2_000_000
HEADINGS = {"en": "disk is full", "zh-hans": "磁盘已满"}


def post(platform: Platform, language: str, *, is_chunked: bool) -> tuple[int, str]:
    """Status and page of a large form."""
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=30)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept-Language": language}
    body = b"username=" + bytes(NUM_BYTES)
    pieces = (body[start : start + 70_000] for start in range(0, len(body), 70_000))
    with contextlib.closing(connection):
        connection.request("POST", "/sign-in/", pieces if is_chunked else body, headers)
        response = connection.getresponse()
        return response.status, response.read().decode()


def test_a_body_without_room_gets_the_page_about_it(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with small_disk(tmp_path / "data", num_bytes=20_000_000) as disk:
        platform = Platform(disk.path, server_url="")
        platform.python("manage.py", "migrate", "--verbosity=0")
        server = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", str(platform.port)],
            cwd=ROOT, env=platform.environment, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        request.addfinalizer(server.kill)
        platform.wait(lambda: _is_listening(platform.port))
        for language, heading in HEADINGS.items():
            for is_chunked, num_blocks in itertools.product((False, True), (0, 1, 130, 300)):
                disk.leave(num_blocks)
                status, page = post(platform, language, is_chunked=is_chunked)
                assert (status, heading in page) == (507, True), (num_blocks, page[:300])
                assert disk.num_free >= num_blocks, "what was received is removed"
        disk.leave_all()
        status, _page = post(platform, "en", is_chunked=False)
        assert status == 403, "received whole, and a form without a token"
        server.terminate()
        assert server.wait(timeout=20) == 0


def _is_listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False

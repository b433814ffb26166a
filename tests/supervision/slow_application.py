"""A web server with short limits and an application of three pages: slow_application.py PORT."""

import sys
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from studio.stack.web_server import Limits, bound_socket, serve

LIMITS = Limits(
    num_connections=120, header_seconds=1.5, idle_seconds=1.5, window_seconds=1.5,
    window_bytes=5000, body_bytes=400_000_000, all_bodies_bytes=320_000_000,
)  # fmt: skip


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The number of bytes that came; `/large` answers with 8 MB."""
    if environ["PATH_INFO"] == "/large":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"x" * 8_000_000]
    num_bytes = 0
    while chunk := environ["wsgi.input"].read(1 << 20):
        num_bytes += len(chunk)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % num_bytes]


if __name__ == "__main__":
    serve(application, bound_socket("127.0.0.1", int(sys.argv[1])), LIMITS)

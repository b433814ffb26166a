"""The web server: requests are received outside the threads that answer them.

waitress reads requests and writes responses in one event loop, bodies into files once they are
large, and hands only whole requests to its threads: who sends slowly occupies a file descriptor.
Here is what it leaves open: how long a client may take, and how much all of them may hold.

A deadline of a body is a rate and no time: an upload of hours is welcome while it makes progress.
"""

import logging
import os
import resource
import signal
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from socket import AF_INET, AF_INET6, SHUT_RDWR, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket
from types import FrameType
from wsgiref.types import WSGIApplication

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from studio.stack.request_bodies import Request, Task

logger = logging.getLogger(__name__)

NUM_THREADS = 8
BACKLOG = 1024
TICK_SECONDS = 1
DRAIN_SECONDS = 5.0
RECEIVE_BYTES = 1 << 16
MAX_HEADER_BYTES = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What clients may hold, and for how long."""

    num_connections: int = 1000
    """At this number the one that has kept us waiting longest makes room for the next."""
    header_seconds: float = 20
    """From the first byte of a request to the end of its header."""
    idle_seconds: float = 30
    """Of a connection on which no request has begun."""
    window_seconds: float = 20
    """A body or a response moves at least `window_bytes` in every such time."""
    window_bytes: int = 20_000
    body_bytes: int = 1 << 30
    """Of one request; more is refused with status 413."""
    all_bodies_bytes: int = 4 << 30
    """Of all requests that are being received; the largest ends when it is exceeded."""


class Wait(Enum):
    """What a connection waits for."""

    SERVER = "our answer"
    REQUEST = "a request"
    HEADER = "the rest of a header"
    BODY = "the rest of a body"
    READER = "the client to read"


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress is untyped
    """One connection, and since when it waits for its client."""

    parser_class = Request
    task_class = Task

    def __init__(
        self,
        server: "WebServer",
        sock: socket,
        addr: tuple[str, int],
        adj: Adjustments,
        map: dict[int, object] | None = None,  # noqa: A002 (waitress' name)
    ) -> None:
        self._wait = Wait.REQUEST
        self._waits_since = time.monotonic()
        self._subject: object = None
        self._num_moved = 0
        super().__init__(server, sock, addr, adj, map)

    def recv(self, size: int) -> bytes:
        data: bytes = super().recv(size)
        self._num_moved += len(data)
        return data

    def send(self, data: bytes, do_close: bool = True) -> int:
        num_sent: int = super().send(data, do_close)
        self._num_moved += num_sent
        return num_sent

    @property
    def num_body_bytes(self) -> int:
        """Bytes of bodies that this connection makes us keep."""
        received = [self.request, *self.requests]
        return sum(int(each.body_bytes_received) for each in received if each is not None)

    @property
    def waits_since(self) -> float | None:
        """Time by the monotonic clock; None while the client waits for us."""
        return None if self._wait is Wait.SERVER else self._waits_since

    def look(self, now: float, limits: Limits) -> Wait | None:
        """What the client is too slow for, if it is.

        To be called every few seconds. A wait begins at the first look that finds it.
        """
        wait, subject = self._waits_for()
        if (wait, subject) != (self._wait, self._subject):
            self._wait, self._subject = wait, subject
            self._waits_since, self._num_moved = now, 0
            return None
        elapsed = now - self._waits_since
        if wait is Wait.REQUEST:
            if self._num_moved:  # others came and were answered between two looks
                self._waits_since, self._num_moved = now, 0
                return None
            return wait if elapsed > limits.idle_seconds else None
        if wait is Wait.HEADER:
            return wait if elapsed > limits.header_seconds else None
        if wait is not Wait.SERVER and elapsed > limits.window_seconds:
            if self._num_moved < limits.window_bytes:
                return wait
            self._waits_since, self._num_moved = now, 0
        return None

    def _waits_for(self) -> tuple[Wait, object]:
        request = self.request
        if self.total_outbufs_len:
            return Wait.READER, None
        if self.requests:
            return Wait.SERVER, None
        if request is None:
            return Wait.REQUEST, None
        return (Wait.BODY if request.headers_finished else Wait.HEADER), request


class WebServer(TcpWSGIServer):  # type: ignore[misc]  # waitress is untyped
    """waitress with deadlines."""

    channel_class = Channel

    def __init__(self, application: WSGIApplication, listener: socket, limits: Limits) -> None:
        self._limits = limits
        adjustments = Adjustments(
            sockets=[listener],
            threads=NUM_THREADS,
            backlog=BACKLOG,
            connection_limit=limits.num_connections,
            max_request_body_size=limits.body_bytes,
            max_request_header_size=MAX_HEADER_BYTES,
            recv_bytes=RECEIVE_BYTES,
            cleanup_interval=TICK_SECONDS,
            asyncore_loop_timeout=TICK_SECONDS,
            asyncore_use_poll=True,  # select() ends at 1024 descriptors
            clear_untrusted_proxy_headers=False,  # whose word counts, the settings say
            log_socket_errors=False,
            ident="",
        )
        dispatcher = ThreadedTaskDispatcher()
        dispatcher.queue_logger.setLevel(logging.ERROR)  # a queue is what a server is for
        dispatcher.set_thread_count(NUM_THREADS)
        family = listener.family
        super().__init__(
            application,
            _sock=listener,
            dispatcher=dispatcher,
            adj=adjustments,
            sockinfo=(family, listener.type, listener.proto, listener.getsockname()),
            bind_socket=False,
        )

    def maintenance(self, _now: float) -> None:
        """Connections whose client is too slow, or holds too much, will close."""
        now = time.monotonic()
        channels = list(self.active_channels.values())
        for channel in channels:
            if (wait := channel.look(now, self._limits)) is not None:
                _end(channel, f"it kept us waiting for {wait.value}")
        if len(self._map) >= self.adj.connection_limit:
            waiting = [each for each in channels if each.waits_since is not None]
            room = max(1, self.adj.connection_limit // 10)
            for channel in sorted(waiting, key=lambda each: each.waits_since)[:room]:
                _end(channel, "it waited longest when there were too many")
        held = sum(channel.num_body_bytes for channel in channels)
        if held > self._limits.all_bodies_bytes:
            _end(
                max(channels, key=lambda each: each.num_body_bytes),
                f"all requests together hold {held} bytes, and it most of them",
            )

    def run(self) -> None:
        """Serves until SystemExit is raised in the event loop; then answers what was asked."""
        try:
            self._loop(count=None)
        except (SystemExit, KeyboardInterrupt):
            self.accepting = False
            self.task_dispatcher.shutdown(cancel_pending=True, timeout=DRAIN_SECONDS)
            deadline = time.monotonic() + DRAIN_SECONDS
            while any(channel.total_outbufs_len for channel in self.active_channels.values()):
                self._loop(count=1)
                if time.monotonic() > deadline:
                    break

    def _loop(self, *, count: int | None) -> None:
        self.asyncore.loop(timeout=TICK_SECONDS, use_poll=True, map=self._map, count=count)


def serve(application: WSGIApplication, listener: socket, limits: Limits) -> None:
    """The application is served on the bound socket until SIGTERM or SIGINT.

    Args:
        application: by WSGI.
        listener: a bound TCP socket.
        limits: what clients may hold.
    """
    _allow_descriptors(limits.num_connections)
    server = WebServer(application, listener, limits)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end_process)
    logger.info("listening at %s:%s", server.effective_host, server.effective_port)
    server.run()


def bound_socket(host: str, port: int) -> socket:
    """A TCP socket at an address.

    Raises:
        OSError: the address cannot be used.
    """
    listener = socket(AF_INET6 if ":" in host else AF_INET, SOCK_STREAM)
    listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def keep_bodies_in(directory: Path) -> None:
    """Bodies that are too large for memory are received into files of `directory`."""
    tempfile.tempdir = os.fspath(directory)


def _end(channel: Channel, reason: str) -> None:
    """Closes a connection at the next turn of the loop, also one whose buffers are full.

    `will_close` alone waits until the socket takes bytes again, which a client that does not read
    never lets it; a socket that is shut down has hung up.
    """
    logger.info("connection from %s ended: %s", channel.addr, reason)
    channel.will_close = True
    with suppress(OSError):  # the client was faster
        channel.socket.shutdown(SHUT_RDWR)


def _end_process(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _allow_descriptors(num_connections: int) -> None:
    """A connection takes one, and another for a large body."""
    wanted = 2 * num_connections + 256
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        highest = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))

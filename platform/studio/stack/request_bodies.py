"""Bodies that find no room: received to their end and dropped, so that the client can be told.

waitress keeps a large body in a file and closes the connection when that fails: the browser says
that the site cannot be reached, whatever page we have for a full disk. Here the request goes on
without its body, and `environ` says so (`studio.pages.dropped_body`).
"""

import contextlib
from collections.abc import MutableMapping

from waitress.buffers import OverflowableBuffer
from waitress.parser import HTTPRequestParser
from waitress.task import WSGITask

from pipeline.errors import is_disk_full
from studio.pages.dropped_body import BODY_DROPPED


class Body(OverflowableBuffer):  # type: ignore[misc]  # waitress is untyped
    """A body in memory or in a file, or dropped."""

    is_dropped = False

    def append(self, data: bytes) -> None:
        """The bytes are kept unless the disk has been full."""
        if self.is_dropped:
            return
        try:
            super().append(data)
        except OSError as exc:
            if not is_disk_full(exc):
                raise
            self.is_dropped = True
            with contextlib.suppress(OSError):  # what is still to be written finds no room either
                self.close()
            self.buf, self.strbuf, self.overflowed = None, b"", False


class Request(HTTPRequestParser):  # type: ignore[misc]
    """A request with such a body."""

    def parse_header(self, header_plus: bytes) -> None:
        """The header is read, and where the body will go is decided."""
        super().parse_header(header_plus)
        if self.body_rcv is not None:
            self.body_rcv.buf = Body(self.adj.inbuf_overflow)


class Task(WSGITask):  # type: ignore[misc]
    """An answer by the application, which is told when the body is not whole."""

    def get_environment(self) -> MutableMapping[str, object]:
        """The WSGI environment."""
        environ: MutableMapping[str, object] = super().get_environment()
        receiver = self.request.body_rcv
        if receiver is not None and receiver.getbuf().is_dropped:
            environ[BODY_DROPPED] = True
        return environ

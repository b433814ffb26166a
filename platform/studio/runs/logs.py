"""Logs that programs write to: kept within bounds while they work, and read as text for people.

A log belongs to a process that may write anything into it, or put anything in its place: it is
opened without following a link, and what is shown of it is plain text.
"""

import contextlib
import ctypes
import logging
import os
import re
import stat
from pathlib import Path
from uuid import UUID

from studio.runs.paths import STDERR_NAME, attempt_dir

logger = logging.getLogger(__name__)

_FALLOC_FL_KEEP_SIZE, _FALLOC_FL_PUNCH_HOLE = 1, 2
HEAD_BYTES = 1 << 20
TAIL_BYTES = 4 << 20
"""Kept of the beginning and of the end of a run's log; between two looks it may be larger."""
MIDDLE_LEFT_OUT = b"\n[... the middle of this log was left out ...]\n"
_LEFT_OUT = "\u2026"
# Colours, cursor movements, window titles: for a terminal, noise on a page.
_TERMINAL_CODES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # OSC and other strings
    r"|\x1b[ -/]*[0-~]"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)


class BoundedLog:
    """A log that another process appends to, kept within bounds by whoever looks after it.

    While the writer lives its middle becomes a hole, which takes no space and moves nothing: what
    is written in the same instant is neither lost nor out of order. At the end the hole goes too.
    """

    def __init__(
        self, path: Path, *, head_bytes: int = HEAD_BYTES, tail_bytes: int = TAIL_BYTES
    ) -> None:
        """`head_bytes` and `tail_bytes` are kept of its beginning and end."""
        flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        # Kept open, because its writer may put anything in the place of the path.
        self._descriptor = os.open(path, flags)
        self._head_bytes, self._tail_bytes = head_bytes, tail_bytes

    def trim(self) -> None:
        """The log takes not much more space than what is kept of it."""
        status = os.fstat(self._descriptor)
        if status.st_blocks * 512 > self._head_bytes + 2 * self._tail_bytes:
            end = status.st_size - self._tail_bytes
            _make_hole(self._descriptor, self._head_bytes, end - self._head_bytes)

    def close(self) -> None:
        """The log is short and closed. Its writer has ended, or nobody will read it."""
        size = os.fstat(self._descriptor).st_size
        if size > self._head_bytes + self._tail_bytes + len(MIDDLE_LEFT_OUT):
            tail = os.pread(self._descriptor, self._tail_bytes, size - self._tail_bytes)
            os.ftruncate(self._descriptor, self._head_bytes)
            rest = memoryview(MIDDLE_LEFT_OUT + tail)
            with contextlib.suppress(OSError):  # a full disk: the rest is left out too
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
        os.close(self._descriptor)


def _make_hole(descriptor: int, start: int, num_bytes: int) -> None:
    """The range reads as zeros and takes no space, where the file system can do that."""
    libc = ctypes.CDLL(None, use_errno=True)
    mode = _FALLOC_FL_KEEP_SIZE | _FALLOC_FL_PUNCH_HOLE
    offset, length = ctypes.c_int64(start), ctypes.c_int64(num_bytes)
    if libc.fallocate(descriptor, mode, offset, length) != 0:
        logger.warning("a log cannot be cut: %s", os.strerror(ctypes.get_errno()))


def log_tail(run_id: UUID, attempt: int, *, max_bytes: int = 16_000) -> str:
    """The end of what the attempt's child wrote to stderr, readable; empty before it wrote."""
    return file_tail(attempt_dir(run_id, attempt) / STDERR_NAME, max_bytes=max_bytes)


def file_tail(path: Path, *, max_bytes: int) -> str:
    """The end of a log, as `readable` has it; empty when `path` is no regular file.

    Begins with a whole line, unless the newest line is longer than half of `max_bytes`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return ""
        content = os.pread(descriptor, max_bytes, max(0, status.st_size - max_bytes))
    finally:
        os.close(descriptor)
    if status.st_size <= max_bytes:
        return readable(content)
    end_of_first = content.find(b"\n", 0, max_bytes // 2)
    if end_of_first >= 0:
        return readable(content[end_of_first + 1 :])
    # Cut inside a line, and perhaps inside a character.
    return _LEFT_OUT + readable(content.lstrip(bytes(range(0x80, 0xC0))))


def readable(content: bytes) -> str:
    """Output as a terminal would leave it: progress bars overwritten, codes for terminals gone.

    What is neither a printable character nor a tab becomes U+FFFD, as what is no UTF-8 does.
    """
    text = _TERMINAL_CODES.sub("", content.decode(errors="replace"))
    return "\n".join(_printable(line.rstrip("\r").rpartition("\r")[2]) for line in text.split("\n"))


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in line)

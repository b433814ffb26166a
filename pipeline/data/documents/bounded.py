"""Foreign documents are taken apart in a process with limits of its own.

Their libraries are written for files that mean well: a few kilobytes can ask for hours or for all
memory. The process is forked, so that nothing has to be imported anew, and it may only answer.
"""

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from pipeline.errors import StoppedAtCheckpoint

MAX_MEMORY_BYTES = 192 << 20
"""On top of what the program has when the process begins."""
CPU_SECONDS = 3
BYTES_FOR_A_SECOND_MORE = 96 << 10
"""Honest files take time by their size; a small one that takes long is none."""
MAX_CPU_SECONDS = 600
_WAIT_FACTOR = 20
"""Seconds by the clock for each of work: a machine may be busy with something else."""

Answer = dict[str, Any]


class LimitExceededError(Exception):
    """The work took more time or memory than a document may."""


def bounded(work: Callable[[Path], Answer], path: Path) -> Answer:
    """What `work` answers for the file at `path`, which must be JSON.

    Raises:
        LimitExceededError: it took too much time or memory, or ended the process.
        StoppedAtCheckpoint: the run was asked to stop, which reaches all of its processes.
    """
    seconds = cpu_seconds(path.stat().st_size)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _work_and_exit(work, path, writer, seconds)
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as answers:
            answer = answers.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM:
        raise StoppedAtCheckpoint("stopped on request while a document was read")
    if status != 0 or not answer:
        raise LimitExceededError
    return dict(json.loads(answer))


def cpu_seconds(num_bytes: int) -> int:
    """How long a file of this size may take."""
    return min(MAX_CPU_SECONDS, CPU_SECONDS + num_bytes // BYTES_FOR_A_SECOND_MORE)


def _work_and_exit(
    work: Callable[[Path], Answer], path: Path, writer: int, seconds: int
) -> NoReturn:
    """In the fork: nothing of the parent may run, so it ends without clean-up."""
    status = 1
    try:
        for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT, signal.SIGXCPU):
            signal.signal(number, signal.SIG_DFL)
        _set_limits(seconds)
        sys.setrecursionlimit(1_000)
        answer = json.dumps(work(path), ensure_ascii=True).encode()
        with os.fdopen(writer, "wb") as file:
            file.write(answer)
        status = 0
    except BaseException:  # noqa: BLE001 (MemoryError among them; the parent is told by the status)
        status = 1
    finally:
        os._exit(status)


def _set_limits(seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_CPU, seconds)
    signal.alarm(seconds * _WAIT_FACTOR)
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:  # an isolated child may not see it; the run's own limit holds
        return
    _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + MAX_MEMORY_BYTES)


def _lower(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)  # the run's own, which may be smaller
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(kind, (most, most))

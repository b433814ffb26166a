"""Becomes a command that the kernel ends when its parent dies.

    python exec_child.py PARENT_PID SIGNAL NICE MAX_DATA_BYTES COMMAND [ARGUMENT ...]

A process of its own before the command, because `preexec_fn` runs Python between fork and exec in a
process that may have threads. Standard library only; started with `-S -E`, it costs about 20 ms.
The setting survives exec. It follows the parent's *thread* that forked, so start it from the main
thread. Linux only; elsewhere leases and locks still hold, only later.
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int, number: int) -> None:
    """The kernel sends signal `number` to this process when its parent ends.

    A parent that ended before the call would never be noticed, so that case ends the process here.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    parent_pid, number, niceness, max_data_bytes = (int(argument) for argument in sys.argv[1:5])
    command = sys.argv[5:]
    die_with_parent(parent_pid, number)
    os.nice(niceness)
    if max_data_bytes:
        # Private memory only: a large model that is mapped for reading does not count.
        resource.setrlimit(resource.RLIMIT_DATA, (max_data_bytes, max_data_bytes))
    os.execvp(command[0], command)  # noqa: S606 (no shell; the caller's argument list)


if __name__ == "__main__":
    main()

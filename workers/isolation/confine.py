"""Enters a confinement and becomes a command.

    python -S -E -m workers.isolation.confine PLAN_FD COMMAND [ARGUMENT ...]

The plan is the JSON of a `Plan`, read from a file descriptor. Runs inside bubblewrap, or before the
command where Landlock confines it. Standard library only (see `kernel.py`): with `-S -E` it costs
about 30 ms.
"""

import json
import os
import signal
import sys
from dataclasses import dataclass

from workers.isolation import kernel, seccomp
from workers.isolation.landlock import restrict_files
from workers.isolation.namespaces import enter_namespaces


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do before the command."""

    ready_fd: int
    """Gets one byte when the confinement is complete and signals arrive."""
    is_landlock: bool
    """Landlock confines the command; else bubblewrap has."""
    has_namespaces: bool
    """With Landlock: a network and shared memory of its own. Without: no sockets at all."""
    shared_memory_bytes: int
    read: list[str]
    write: list[str]
    temporary: str
    devices: list[str]


def confine(plan: Plan) -> None:
    """This process is confined.

    Raises:
        OSError: the kernel refused.
    """
    rules = list(seccomp.COMMON_RULES)
    families: tuple[int, ...] = seccomp.SOCKET_FAMILIES
    if plan.is_landlock:
        if plan.has_namespaces:
            enter_namespaces(shared_memory_bytes=plan.shared_memory_bytes)
            families = seccomp.INTERNET_FAMILIES
        else:
            families = ()
            rules += seccomp.NO_NAMESPACE_RULES
        rules += seccomp.LANDLOCK_RULES
        kernel.drop_privileges()
        # The rule on the process's own directory ends when the kernel forgets the directory, which
        # it does not while this descriptor is open.
        os.set_inheritable(os.open("/proc/self", os.O_PATH), True)
        restrict_files(
            read=plan.read,
            write=plan.write,
            temporary=plan.temporary,
            devices=plan.devices,
            may_use_tcp=plan.has_namespaces,
        )
    seccomp.install_filter([*rules, seccomp.socket_rule(families)])


def main() -> None:
    plan_fd, command = int(sys.argv[1]), sys.argv[2:]
    with os.fdopen(plan_fd, "rb") as file:
        plan = Plan(**json.load(file))
    confine(plan)
    # Around bubblewrap a request to stop waits, so that it reaches the command and not bubblewrap.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    os.write(plan.ready_fd, b"1")
    os.close(plan.ready_fd)
    os.execvp(command[0], command)  # noqa: S606 (no shell; the caller's argument list)


if __name__ == "__main__":
    main()

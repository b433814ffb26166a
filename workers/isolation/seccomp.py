"""System calls that a child does not get, as a small program in the kernel's filter language.

The rest of the confinement decides about files and networks; this closes what it does not know.
Sockets are named by the families that are allowed. Standard library only (see `kernel.py`).
"""

import ctypes
import errno
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from workers.isolation.kernel import MACHINE, PR_SET_NO_NEW_PRIVS, prctl

PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
RETURN_ALLOW, RETURN_ERRNO = 0x7FFF0000, 0x00050000
# Instructions of classic BPF: load a word, mask it, compare it, return.
LOAD, AND, EQUAL, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
NUMBER_OFFSET, ARCHITECTURE_OFFSET, ARGUMENTS_OFFSET = 0, 4, 16
X32_CALLS = 0x40000000
PRETEND = 0
"""As an error number: the call does nothing and says that it succeeded."""
SOCK_TYPE_MASK = 0xF
SOCKET_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)
INTERNET_FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)

# Numbers of one architecture; calls that it does not have are left out.
_X86_64 = {
    "socket": 41, "socketpair": 53, "shmget": 29, "semget": 64, "msgget": 68, "chmod": 90,
    "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94,
    "mknod": 133, "setpriority": 141, "sched_setparam": 142, "sched_setscheduler": 144,
    "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198,
    "fremovexattr": 199, "sched_setaffinity": 203, "mq_open": 240, "add_key": 248,
    "request_key": 249, "keyctl": 250, "ioprio_set": 251, "migrate_pages": 256, "mknodat": 259,
    "fchownat": 260, "fchmodat": 268, "move_pages": 279,
    "perf_event_open": 298, "prlimit64": 302, "sched_setattr": 314, "bpf": 321,
}  # fmt: skip
_AARCH64 = {
    "socket": 198, "socketpair": 199, "shmget": 194, "semget": 190, "msgget": 186, "fchmod": 52,
    "fchmodat": 53, "fchownat": 54, "fchown": 55, "mknodat": 33,
    "setpriority": 140, "sched_setparam": 118, "sched_setscheduler": 119, "setxattr": 5,
    "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
    "sched_setaffinity": 122, "mq_open": 180, "add_key": 217, "request_key": 218, "keyctl": 219,
    "ioprio_set": 30, "migrate_pages": 238, "move_pages": 239,
    "perf_event_open": 241, "prlimit64": 261, "sched_setattr": 274, "bpf": 280,
}  # fmt: skip
# Newer calls have one number everywhere.
_EVERYWHERE = {"io_uring_setup": 425, "fchmodat2": 452, "setxattrat": 463, "removexattrat": 466}
_MACHINES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A call fails with `error`, unless its argument (of index `argument`) is one of `allowed`."""

    call: str
    error: int
    argument: int | None = None
    allowed: tuple[int, ...] = ()
    mask: int = 0xFFFFFFFF


def _refuse(error: int, *calls: str) -> list[Rule]:
    return [Rule(call=call, error=error) for call in calls]


def _only(call: str, argument: int, *allowed: int, mask: int = 0xFFFFFFFF) -> Rule:
    return Rule(call=call, error=errno.EPERM, argument=argument, allowed=allowed, mask=mask)


COMMON_RULES = (
    # A ring makes sockets past this filter; keys and events belong to the user, not to a child.
    *_refuse(errno.ENOSYS, "io_uring_setup", "add_key", "request_key", "keyctl"),
    *_refuse(errno.EPERM, "perf_event_open", "bpf"),
    # The platform reads what a child leaves behind: opening a pipe would wait for ever.
    *_refuse(errno.EPERM, "mknod", "mknodat"),
)
LANDLOCK_RULES = (
    # Landlock knows what is opened, not who may read a file: that stays as it is. Times are left to
    # be set: programs copy and touch files by them.
    *_refuse(PRETEND, "chmod", "fchmod", "fchmodat", "fchmodat2"),
    *_refuse(errno.EPERM, "chown", "fchown", "lchown", "fchownat"),
    *_refuse(errno.ENOTSUP, "setxattr", "lsetxattr", "fsetxattr", "setxattrat"),
    *_refuse(errno.ENOTSUP, "removexattr", "lremovexattr", "fremovexattr", "removexattrat"),
    # Other processes of the same user: a child may set only its own limits and priorities.
    *(_only(call, 0, 0) for call in ("prlimit64", "migrate_pages", "move_pages")),
    *(_only(f"sched_set{what}", 0, 0) for what in ("affinity", "attr", "param", "scheduler")),
    *(_only(call, 1, 0) for call in ("setpriority", "ioprio_set")),
    # A pair of datagram sockets can be sent on to any address.
    _only("socketpair", 1, socket.SOCK_STREAM, mask=SOCK_TYPE_MASK),
)
NO_NAMESPACE_RULES = tuple(_refuse(errno.ENOSYS, "shmget", "semget", "msgget", "mq_open"))


def socket_rule(families: Iterable[int]) -> Rule:
    """Sockets can be made of these families only."""
    return Rule(call="socket", error=errno.EAFNOSUPPORT, argument=0, allowed=tuple(families))


def filter_program(rules: Iterable[Rule], machine: str = MACHINE) -> bytes:
    """The instructions of a filter.

    Raises:
        OSError: the numbers of this machine's system calls are not known here.
    """
    if machine not in _MACHINES:
        raise OSError(f"system calls of {machine} machines are not known; x86_64 and aarch64 are")
    architecture, numbers = _MACHINES[machine]
    numbers = numbers | _EVERYWHERE
    no_call = _instruction(RETURN, RETURN_ERRNO | errno.ENOSYS)
    program = [
        # Calls in the convention of another architecture have other numbers.
        _instruction(LOAD, ARCHITECTURE_OFFSET),
        _instruction(EQUAL, architecture, if_true=1),
        no_call,
        _instruction(LOAD, NUMBER_OFFSET),
        _instruction(AT_LEAST, X32_CALLS, if_false=1),
        no_call,
    ]
    for rule in rules:
        if rule.call in numbers:
            body = _body(rule)
            program.append(_instruction(EQUAL, numbers[rule.call], if_false=len(body)))
            program += body
    program.append(_instruction(RETURN, RETURN_ALLOW))
    return b"".join(program)


def install_filter(rules: Iterable[Rule]) -> None:
    """The rules hold for this process and all it starts, for ever.

    Raises:
        OSError: the kernel has no filters, or the machine is not known.
    """
    program = filter_program(rules)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    argument = ctypes.create_string_buffer(header, len(header))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(argument))


def _body(rule: Rule) -> list[bytes]:
    """Ends in any case: with the error, or with leave."""
    refuse = _instruction(RETURN, RETURN_ERRNO | rule.error)
    if rule.argument is None:
        return [refuse]
    # The low half of the argument: numbers of processes, families and types are 32 bits wide.
    body = [
        _instruction(LOAD, ARGUMENTS_OFFSET + 8 * rule.argument),
        _instruction(AND, rule.mask),
    ]
    for position, value in enumerate(rule.allowed):
        following = len(rule.allowed) - position - 1
        body.append(_instruction(EQUAL, value, if_true=following + 1))
    return [*body, refuse, _instruction(RETURN, RETURN_ALLOW)]


def _instruction(code: int, value: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)

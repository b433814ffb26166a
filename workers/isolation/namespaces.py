"""Namespaces for a process that Landlock confines: a network of its own, and shared memory.

Standard library only (see `kernel.py`).
"""

import fcntl
import os
import socket
import struct
from pathlib import Path

from workers.isolation.kernel import checked, libc

SHARED_MEMORY = "/dev/shm"  # noqa: S108 (where the C library looks for it)
CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
MS_NOSUID_NODEV = 0x2 | 0x4
MS_REC_PRIVATE = 0x4000 | 0x40000
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1
INTERFACE_REQUEST = "16sh22x"


def enter_namespaces(*, shared_memory_bytes: int) -> None:
    """This process sees an empty network with a loopback, and an empty `/dev/shm`.

    It keeps its user and group. The process must have one thread.

    Args:
        shared_memory_bytes: size of `/dev/shm`.

    Raises:
        OSError: the kernel refused; part of it may have been done.
    """
    user, group = os.geteuid(), os.getegid()
    flags = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC
    checked(libc.unshare(flags), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    checked(libc.mount(None, b"/", None, MS_REC_PRIVATE, None), "mount(/)")
    options = f"size={shared_memory_bytes},mode=1777".encode()
    checked(
        libc.mount(b"tmpfs", SHARED_MEMORY.encode(), b"tmpfs", MS_NOSUID_NODEV, options),
        f"mount({SHARED_MEMORY})",
    )
    _bring_loopback_up()


def _bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack(INTERFACE_REQUEST, b"lo", 0)
        answer = fcntl.ioctl(control, SIOCGIFFLAGS, request)
        _name, flags = struct.unpack(INTERFACE_REQUEST, answer)
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack(INTERFACE_REQUEST, b"lo", flags | IFF_UP))

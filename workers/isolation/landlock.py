"""Landlock: the kernel refuses this process every file that no rule names.

Used from version 6 of its interface (Linux 6.12), which also keeps signals and abstract sockets
inside. What Landlock does not know (sockets that lie in the file system, modes and owners of files,
priorities of other processes) is refused by `seccomp.py`. Standard library only (see `kernel.py`).
"""

import ctypes
import os
import stat
from collections.abc import Iterable

from workers.isolation.kernel import checked, libc

NEEDED_VERSION = 6
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
CREATE_RULESET_VERSION = 1
RULE_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << n for n in range(6))
MAKE_DIR, MAKE_REG, MAKE_SYM = 1 << 7, 1 << 8, 1 << 12
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
ALL_FILE_ACCESS = (1 << 16) - 1
ALL_TCP_ACCESS = 0b11
ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

READ = EXECUTE | READ_FILE | READ_DIR
WRITE = READ | WRITE_FILE | TRUNCATE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER
"""Links, pipes and device files cannot be made: the platform reads what a child leaves behind."""
USE_DEVICE = READ_FILE | WRITE_FILE | IOCTL_DEV
FOR_FILES = EXECUTE | READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def landlock_version() -> int:
    """Version of the kernel's Landlock interface; 0 where there is none."""
    version: int = libc.syscall(CREATE_RULESET, None, 0, CREATE_RULESET_VERSION)
    return max(0, version)


def restrict_files(
    *,
    read: Iterable[str],
    write: Iterable[str],
    temporary: str,
    devices: Iterable[str],
    may_use_tcp: bool,
) -> None:
    """This process and all it starts reach nothing but what is named here.

    Args:
        read: files and directories; what does not exist is left out.
        write: directories in which files and directories may be made, changed and removed.
        temporary: a directory in which links can be made too.
        devices: device files.
        may_use_tcp: False refuses every TCP port, those of this machine too.

    Raises:
        OSError: the kernel refused, or its Landlock is too old.
    """
    if landlock_version() < NEEDED_VERSION:
        raise OSError(
            f"this kernel has version {landlock_version()} of Landlock; {NEEDED_VERSION} is needed "
            "(Linux 6.12)"
        )
    attributes = _Ruleset(ALL_FILE_ACCESS, 0 if may_use_tcp else ALL_TCP_ACCESS,
                          ABSTRACT_SOCKETS_AND_SIGNALS)  # fmt: skip
    ruleset = checked(
        libc.syscall(CREATE_RULESET, ctypes.byref(attributes), ctypes.sizeof(attributes), 0),
        "landlock_create_ruleset",
    )
    try:
        rules = (
            (read, READ),
            (write, WRITE),
            ((temporary,), WRITE | MAKE_SYM),
            (devices, USE_DEVICE),
        )
        for paths, access in rules:
            for path in paths:
                _allow(ruleset, path, access)
        checked(libc.syscall(RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            access &= FOR_FILES
        rule = _PathBeneath(access, descriptor)
        checked(
            libc.syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, ctypes.byref(rule), 0),
            f"landlock_add_rule({path})",
        )
    finally:
        os.close(descriptor)

"""Way 1: bubblewrap gives a child a file system, a network and processes of its own."""

from collections.abc import Iterator
from pathlib import Path

from workers.bootstrap import ROOT
from workers.isolation.namespaces import SHARED_MEMORY
from workers.isolation.policy import Policy

PROGRAM = "bwrap"
WRITABLE = 0o222
TEMPORARY = "/tmp"  # noqa: S108 (the child's own)
# Children share bubblewrap's process group. It must outlive a request to stop that its child
# answers by saving a checkpoint, so the signal is blocked until `confine.py` unblocks it inside.
PREFIX = ("env", "--block-signal=TERM")
# No --new-session: the guard has made a session already, and the group must stay one.
SEPARATE = (
    "--unshare-user", "--disable-userns", "--unshare-ipc", "--unshare-pid", "--unshare-net",
    "--unshare-uts", "--unshare-cgroup-try", "--die-with-parent", "--cap-drop", "ALL",
)  # fmt: skip


def arguments(policy: Policy) -> list[str]:
    """Options of bubblewrap, without the command."""
    temporary = str(policy.temporary)
    writable = str(policy.writable)
    return [
        *SEPARATE,
        *("--proc", "/proc", "--dev", "/dev"),
        *_each("--ro-bind", _levers()),
        *("--size", str(policy.shared_memory_bytes), "--perms", "1777", "--tmpfs", SHARED_MEMORY),
        *("--bind", temporary, TEMPORARY),
        *_each("--ro-bind", _outermost(policy.readable)),
        *_each("--dev-bind", policy.gpu_devices),
        *("--bind", writable, writable),
        *("--remount-ro", "/dev", "--remount-ro", "/"),
        *("--chdir", str(ROOT)),
    ]


def _each(option: str, paths: tuple[Path, ...] | list[Path]) -> Iterator[str]:
    for path in paths:
        yield from (option, str(path), str(path))


def _levers() -> list[Path]:
    """What in `/proc` is no process: a worker that runs as root could set the machine by it."""
    return [
        path
        for path in sorted(Path("/proc").iterdir())
        if not path.name.isdecimal()
        and not path.is_symlink()
        and (path.is_dir() or path.stat().st_mode & WRITABLE)
    ]


def _outermost(paths: tuple[Path, ...]) -> list[Path]:
    """Without what lies in another of the paths, and is there already."""
    kept: list[Path] = []
    for path in sorted(paths, key=lambda path: len(path.parts)):
        if not any(outer in path.parents for outer in kept):
            kept.append(path)
    return kept

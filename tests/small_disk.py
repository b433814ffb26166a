"""A real file system that is full, or nearly: a tmpfs of a few hundred kibibytes.

    with small_disk(directory, num_bytes=400_000) as disk:
        disk.leave(3)            # three blocks are free: the fourth that is written fails
        ...                      # whatever writes below `directory` meets a real ENOSPC
        disk.leave_all()         # somebody made room

Writing with n blocks left, for every n up to what the work takes, fails it at each of its writes.
Mounting takes root, which CI is. For anybody else the tests are skipped with a line that says so;
for root, a mount that fails is a failure.
"""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BLOCK_BYTES = 4096
FILLER_NAME = ".filler"


class SmallDisk:
    """The mounted file system at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / FILLER_NAME

    @property
    def num_free(self) -> int:
        """Blocks that can still be written."""
        return os.statvfs(self.path).f_bavail

    def leave(self, num_blocks: int) -> None:
        """All but `num_blocks` blocks are taken; those of files that are there stay theirs."""
        self.leave_all()
        surplus = self.num_free - num_blocks
        if surplus < 0:
            raise ValueError(f"{num_blocks} blocks asked for, {self.num_free} are there")
        if surplus == 0:
            return
        descriptor = os.open(self._filler, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, surplus * BLOCK_BYTES)
        finally:
            os.close(descriptor)

    def leave_all(self) -> None:
        """What `leave` took is free again."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def small_disk(path: Path, *, num_bytes: int) -> Iterator[SmallDisk]:
    """`path`, which is made if need be, is a file system of its own with room for `num_bytes`."""
    path.mkdir(parents=True, exist_ok=True)
    options = f"size={-(-num_bytes // BLOCK_BYTES) * BLOCK_BYTES},mode=700"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode != 0:
        reason = f"a full disk cannot be had without root: {mounted.stderr.strip()}"
        if os.geteuid() != 0:
            pytest.skip(reason)
        pytest.fail(reason)
    try:
        disk = SmallDisk(path)
        _prove_it_fills(disk)
        yield disk
    finally:
        # Lazily: a file that a failed test left open must not keep the mount for ever.
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def _prove_it_fills(disk: SmallDisk) -> None:
    """A kernel that lets the limit pass would make every test of a full disk pass too."""
    disk.leave(1)
    probe = disk.path / ".probe"
    try:
        probe.write_bytes(bytes(2 * BLOCK_BYTES))
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
    else:
        pytest.fail(f"{disk.path} took more than it has room for")
    finally:
        probe.unlink(missing_ok=True)
        disk.leave_all()

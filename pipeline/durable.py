"""Files and directories that are whole or absent, whatever stops the program or the machine.

What is written goes under a temporary name in the same directory, is flushed to disk and takes its
name by a rename; then the directory that holds the name is flushed. A kill or a power cut leaves
the old content, or nothing, beside a temporary name that the next writer replaces.

    with new_file(path) as partial: ...         one file, written by whatever library
    with new_directory(path) as partial: ...    several files that belong together
    write_bytes(path, content)                  content that is in memory
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def partial_path(path: Path) -> Path:
    """Where `path` is written before it is whole: hidden, on the same file system."""
    return path.with_name(f".{path.name}.partial")


def publish(partial: Path, path: Path) -> None:
    """`path` is `partial`'s content, whole and on disk; `partial` is gone.

    Args:
        partial: A file, which replaces the one at `path`, or a directory, for which `path` must
            not exist.
    """
    _flush_all(partial)
    _rename(partial, path)


def write_bytes(path: Path, content: bytes) -> None:
    """`path` holds `content`, whole and on disk."""
    with new_file(path) as partial:
        partial.write_bytes(content)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """The file written at the yielded path becomes `path`; an exception leaves `path` as it was."""
    partial = partial_path(path)
    try:
        yield partial
        publish(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """The empty directory that is yielded becomes `path`, in place of what was there.

    What an earlier kill left under the temporary name is removed first. A kill while an old
    directory is replaced can leave neither: what must not be lost gets a new name instead.
    """
    partial = partial_path(path)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir()
        yield partial
        _flush_all(partial)
        if path.exists():
            shutil.rmtree(path)
        _rename(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _rename(partial: Path, path: Path) -> None:
    partial.rename(path)
    _flush(path.parent)


def _flush_all(path: Path) -> None:
    if path.is_dir():
        for below in sorted(path.rglob("*")):
            _flush(below)
    _flush(path)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

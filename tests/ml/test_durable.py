"""A kill at any moment leaves the old content or the new, never a part; real processes, SIGKILL."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.durable import new_directory, new_file, partial_path, publish, write_bytes

ROOT = Path(__file__).parents[2]
KILLED_AT = """
import os, shutil, signal, sys
from pathlib import Path
from pipeline import durable

remaining = int(sys.argv[1])

def killing(function):
    def call(*arguments, **options):
        global remaining
        remaining -= 1
        if remaining == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call

os.fsync, os.rename = killing(os.fsync), killing(os.rename)
shutil.rmtree = killing(shutil.rmtree)
path = Path(sys.argv[2])
"""
WRITE_FILE = "durable.write_bytes(path, b'new')"
WRITE_DIRECTORY = """
with durable.new_directory(path) as partial:
    (partial / 'sub').mkdir()
    (partial / 'a').write_bytes(b'new')
    (partial / 'sub' / 'b').write_bytes(b'new')
"""


def kills(path: Path, program: str, prepare: Callable[[], None]) -> Iterator[int]:
    """The number of the system call before which each of the processes was killed."""
    for call in range(1, 100):
        prepare()
        command = [sys.executable, "-c", KILLED_AT + program, str(call), str(path)]
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        if status == 0:
            return
        assert status == -signal.SIGKILL
        yield call
    raise AssertionError("the program never ends")


def tree(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_killed_write_leaves_the_old_file_or_the_new(tmp_path: Path, old: bytes | None) -> None:
    path = tmp_path / "report.json"

    def prepare() -> None:
        path.unlink(missing_ok=True)
        if old is not None:
            path.write_bytes(old)

    found = []
    for _call in kills(path, WRITE_FILE, prepare):
        found.append(path.read_bytes() if path.exists() else None)
        assert {entry.name for entry in tmp_path.iterdir()} <= {path.name, partial_path(path).name}
    # The file is flushed, renamed, and its directory flushed.
    assert found == [old, old, b"new"]
    write_bytes(path, b"newer")
    assert tree(tmp_path) == {"report.json": b"newer"}


def test_a_killed_directory_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "step-3"
    new = {"a": b"new", "sub/b": b"new"}
    found = []
    for _call in kills(path, WRITE_DIRECTORY, lambda: shutil.rmtree(path, ignore_errors=True)):
        found.append(tree(path) if path.exists() else None)
    # Leftovers are removed; two files and two directories flushed; renamed; the parent flushed;
    # nothing is left to remove.
    assert found == [None] * 6 + [new] * 2
    with new_directory(path) as partial:
        assert list(partial.iterdir()) == []
        (partial / "a").write_bytes(b"newer")
    assert tree(tmp_path) == {"step-3/a": b"newer"}


def test_an_old_directory_stays_until_the_new_one_is_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "step-3"

    def prepare() -> None:
        path.mkdir(exist_ok=True)
        for file in path.rglob("*"):
            if file.is_file():
                file.unlink()
        (path / "a").write_bytes(b"old")

    found = []
    for _call in kills(path, WRITE_DIRECTORY, prepare):
        found.append(tree(path) if path.exists() else None)
    old, new = {"a": b"old"}, {"a": b"new", "sub/b": b"new"}
    assert found == [old] * 6 + [None, new, new]


def test_an_error_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, directory = tmp_path / "a", tmp_path / "b"
    write_bytes(path, b"old")

    def no_space(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(path, b"new")
    with pytest.raises(OSError, match="No space left"), new_directory(directory) as partial:
        (partial / "c").write_bytes(b"new")
    with pytest.raises(TypeError), new_file(path) as partial:
        partial.write_text(b"ne")
    assert tree(tmp_path) == {"a": b"old"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_a_published_directory_takes_the_place_of_none(tmp_path: Path) -> None:
    for name in ("partial", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_bytes(name.encode())
    with pytest.raises(OSError, match="not empty"):
        publish(tmp_path / "partial", tmp_path / "other")
    publish(tmp_path / "partial", tmp_path / "whole")
    assert tree(tmp_path) == {"other/a": b"other", "whole/a": b"partial"}

"""Logs are bounded while they are written, and shown as plain text whatever is in them."""

import os
import subprocess
import sys
import tempfile
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.runs.logs import MIDDLE_LEFT_OUT, BoundedLog, file_tail, readable
from studio.stack import processes
from studio.stack.processes import ManagedProcess

pytestmark = pytest.mark.postgres

HEAD, TAIL = 10_000, 40_000


@given(writes=st.lists(st.binary(min_size=1, max_size=60_000), max_size=30))
@settings(max_examples=60, deadline=None)
def test_beginning_and_end_of_a_long_log_are_kept(tmp_path_factory, writes: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("log") / "stderr.log"
    everything = b""
    with path.open("ab", buffering=0) as log:
        bounded = BoundedLog(path, head_bytes=HEAD, tail_bytes=TAIL)
        for content in writes:
            log.write(content)
            everything += content
            bounded.trim()
            # Whole blocks only can become a hole.
            assert path.stat().st_blocks * 512 <= HEAD + 2 * TAIL + 2 * 4096
            assert path.stat().st_size == len(everything)
            assert file_tail(path, max_bytes=TAIL) == _tail_of(everything)
        bounded.close()
    kept = path.read_bytes()
    if len(everything) <= HEAD + TAIL + len(MIDDLE_LEFT_OUT):
        assert kept == everything
    else:
        assert kept == everything[:HEAD] + MIDDLE_LEFT_OUT + everything[-TAIL:]


def _tail_of(everything: bytes) -> str:
    with tempfile.NamedTemporaryFile() as file:
        file.write(everything)
        file.flush()
        return file_tail(Path(file.name), max_bytes=TAIL)


def test_a_program_that_writes_without_end_cannot_fill_the_disk(tmp_path: Path) -> None:
    """It has its own descriptor of the file and never learns that the middle goes."""
    path = tmp_path / "stderr.log"
    program = (
        "import os\nfor n in range(4000): os.write(2, b'%06d ' % n * 2000)\nos.write(2, b'end')"
    )
    with path.open("ab") as log:
        child = subprocess.Popen([sys.executable, "-c", program], stderr=log)
    bounded = BoundedLog(path)
    while child.poll() is None:
        bounded.trim()
    bounded.trim()
    assert path.stat().st_blocks * 512 < 10_000_000  # of 56,000,003 bytes that were written
    bounded.close()
    assert child.returncode == 0
    content = path.read_bytes()
    assert len(content) < 6_000_000
    assert content.startswith(b"000000 000000 ")
    assert content.endswith(b"003999 end")
    assert MIDDLE_LEFT_OUT in content


def test_a_services_log_is_cut_while_the_service_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "MAX_LOG_BYTES", 10_000)
    path = tmp_path / "chatty.log"
    # One write for a line: `print` without a buffer makes several, and the cut may fall between.
    lines = "for n in range(10**6): os.write(1, b'line %d\\n' % n); time.sleep(1e-4)"
    program = f"import os, time\n{lines}"
    process = ManagedProcess("chatty", (sys.executable, "-c", program), log_dir=tmp_path)
    process.start()
    try:
        deadline = time.monotonic() + 30
        while not path.with_suffix(".log.1").exists():
            assert process.keep_alive() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert path.with_suffix(".log.1").read_bytes().startswith(b"line 0\nline 1\n")
        while not path.read_bytes().strip():
            assert time.monotonic() < deadline, "the service writes on, from the start"
        assert path.read_bytes().startswith(b"line ")
    finally:
        process.kill()


@pytest.mark.slow
@given(content=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
@settings(max_examples=100, deadline=None)
def test_what_is_shown_is_text_without_control_characters(content: bytes) -> None:
    shown = readable(content)
    controls = {char for char in shown if unicodedata.category(char) in ("Cc", "Cf", "Cs")}
    assert controls <= {"\n", "\t"}
    assert shown.count("\n") <= content.count(b"\n")


@given(
    before=st.binary(max_size=3000),
    line=st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=900),
    end=st.sampled_from(["", "\n"]),
)
@settings(max_examples=60, deadline=None)
def test_the_last_line_is_shown_whether_it_ended_or_not(
    tmp_path_factory, before: bytes, line: str, end: str
) -> None:
    path = tmp_path_factory.mktemp("log") / "stderr.log"
    path.write_bytes(before.replace(b"\x1b", b"") + b"\n" + line.encode() + end.encode())
    shown = file_tail(path, max_bytes=500)
    assert shown.removesuffix("\n").endswith(line[-100:])
    if path.stat().st_size > 500 and b"\n" not in path.read_bytes()[-500:]:
        assert shown.startswith("\u2026")


def test_codes_for_terminals_and_overwritten_progress_are_left_out() -> None:
    content = (
        b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07text\r\n  1%\r 99%\r100%\n\xff\x00\xe2\x80\xaeend"
    )
    assert readable(content) == "red text\n100%\n\ufffd\ufffd\ufffdend"


@pytest.mark.parametrize("kind", ["link", "fifo", "directory", "nothing"])
def test_only_a_file_of_its_own_is_shown(tmp_path: Path, kind: str) -> None:
    """A run's program can put anything in the place of its log."""
    secret = tmp_path / "secret"
    secret.write_text("the key\n")
    path = tmp_path / "stderr.log"
    if kind == "link":
        path.symlink_to(secret)
        with pytest.raises(OSError, match="symbolic links"):
            BoundedLog(path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    assert file_tail(path, max_bytes=100) == ""

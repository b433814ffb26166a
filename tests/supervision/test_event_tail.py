"""Every line that a child wrote is read once, in order, however it was written and read."""

import random
import time
from pathlib import Path

import pytest

from pipeline.contracts.events import MAX_LINE_BYTES
from workers.event_tail import MAX_BYTES, EventTail


@pytest.mark.parametrize("seed", range(20))
def test_lines_come_whole_and_in_order(tmp_path: Path, seed: int) -> None:
    """Written in pieces of any length; lines that are too long are left out, and only those."""
    chance = random.Random(seed)
    lengths = [chance.choice((0, 1, 200, MAX_LINE_BYTES, MAX_LINE_BYTES + 1, 3 * MAX_BYTES))
               for _ in range(12)]  # fmt: skip
    lines = [bytes([97 + number]) * length for number, length in enumerate(lengths)]
    content = b"".join(line + b"\n" for line in lines) + b"torn"
    path = tmp_path / "events.jsonl"
    tail = EventTail(path)
    assert tail.read_lines() == []
    found: list[bytes] = []
    with path.open("wb", buffering=0) as file:
        at = 0
        while at < len(content):
            size = chance.choice((1, 1000, MAX_LINE_BYTES, 2 * MAX_BYTES))
            at += file.write(content[at : at + size])
            found += tail.read_lines()
    for part in tail.remaining():
        found += part
    tail.close()
    assert found == [line for line in lines if len(line) <= MAX_LINE_BYTES]


def test_a_line_of_32_mb_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"first\n" + b"x" * (32 << 20) + b"\nlast\n")
    tail = EventTail(path)
    assert [line for part in tail.remaining() for line in part] == [b"first", b"last"]
    tail.close()


def test_whoever_goes_on_writing_is_not_waited_for(tmp_path: Path) -> None:
    """A process that a dead child left behind must not hold its supervisor."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"a\n" * MAX_BYTES)
    tail = EventTail(path)
    began = time.monotonic()
    with path.open("ab") as file:
        for part in tail.remaining():
            assert part
            file.write(b"a\n" * MAX_BYTES)
            file.flush()
            assert time.monotonic() - began < 20
    tail.close()

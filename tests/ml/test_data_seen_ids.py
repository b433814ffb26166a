"""The ids of a file in few bytes: the same answers as a dictionary."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from pipeline.data import seen_ids
from pipeline.data.seen_ids import SeenIds

LINES = st.integers(0, 2**40 - 1)
IDS = st.text(st.characters(codec="utf-8"), max_size=3)


@given(st.lists(st.tuples(IDS, LINES)))
def test_first_lines_are_those_of_a_dictionary(rows) -> None:
    ids, expected = SeenIds(), {}
    for identifier, line in rows:
        assert ids.first_line(identifier, line) == expected.get(identifier)
        expected.setdefault(identifier, line)


def test_a_digest_across_two_entries_is_not_taken_for_one(monkeypatch) -> None:
    digests = iter([b"\0\0" + b"a" * 10, b"\0\0" + b"b" * 10, b"\0\0" + b"a" * 5 + b"\0" * 5])

    class Digest:
        def digest(self) -> bytes:
            return next(digests)

    monkeypatch.setattr(seen_ids, "blake2b", lambda *_args, **_options: Digest())
    ids = SeenIds()
    # The end of the first digest and the line 0 behind it are the third digest, out of step.
    rows = (("x", 0), ("y", 1), ("z", 2))
    assert [ids.first_line(name, line) for name, line in rows] == [None] * 3


def test_an_id_costs_less_than_32_bytes() -> None:
    number = 200_000
    ids = SeenIds()
    for line in range(number):
        ids.first_line(f"a-rather-long-identifier-of-a-row-{line}", line)
    held = [bucket for bucket in ids._buckets if bucket is not None]
    # Every byte string has 57 bytes of its own, which a million ids share, not 200,000.
    assert sum(map(sys.getsizeof, held)) - 57 * len(held) < 24 * number

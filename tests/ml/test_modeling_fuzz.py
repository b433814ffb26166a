"""300 broken headers as `python -m bench fuzz` makes them, inspected and tried out."""

from collections import Counter

import pytest

from bench.fuzz import fuzz

SEED, COUNT = 2026, 300


@pytest.mark.slow
def test_broken_headers_are_models_or_errors() -> None:
    cases = list(fuzz(SEED, 0, COUNT, loads=False))
    assert [case for case in cases if case.word == "crash"] == []
    assert [case.number for case in cases] == list(range(COUNT))
    words = Counter(case.word for case in cases)
    # Both happen, or the mutations would test nothing.
    assert words["loaded"] > 20
    assert words["model.corrupt_file"] > 30
    assert words["model.unsupported"] > 10

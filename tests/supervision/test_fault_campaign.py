"""A small part of `python -m bench faults`, by a fixed seed: docs/benchmarks.md has the whole."""

from pathlib import Path

import pytest

from bench import faults

NUM_FAULTS = 20


@pytest.mark.slow
def test_twenty_faults_lose_repeat_and_stick_nothing(tmp_path: Path) -> None:
    result = faults.run(
        ["--faults", str(NUM_FAULTS), "--default-lease-faults", "0", "--database", "sqlite",
         "--seed", "8", "--platforms", "2", "--quick", "--records", str(tmp_path / "records")]
    )  # fmt: skip
    assert result.failures == []
    assert result.figures["num_faults"] >= NUM_FAULTS

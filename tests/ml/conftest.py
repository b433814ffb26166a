"""What a recipe under test is given besides its spec."""

from pathlib import Path

import pytest

from pipeline.contracts.events import Payload
from pipeline.execution import RunContext


class Recorder:
    """An event sink that keeps what it was given."""

    def __init__(self) -> None:
        self.payloads: list[Payload] = []

    def emit(self, payload: Payload) -> None:
        self.payloads.append(payload)


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    (tmp_path / "run").mkdir()
    return RunContext(run_dir=tmp_path / "run", spec_digest="0" * 64, events=Recorder())

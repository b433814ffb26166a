"""Platforms of real processes for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.supervision.local_platform import Platform


@pytest.fixture
def new_platform(tmp_path: Path) -> Iterator[Platform]:
    """A platform that is not running, for a test that starts and stops it."""
    platform = Platform(tmp_path / "data")
    yield platform
    platform.close()


@pytest.fixture
def training_platform(tmp_path: Path) -> Iterator[Platform]:
    """A running platform whose runs are executed by the real pipeline, on one thread."""
    platform = Platform(tmp_path / "data", STUDIO_PIPELINE_COMMAND="", STUDIO_COMPUTE_THREADS="1")
    try:
        platform.start()
        yield platform
    finally:
        platform.close()


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A running platform, shared by all tests."""
    platform = Platform(tmp_path_factory.mktemp("studio") / "data")
    try:
        platform.start()
        yield platform
    finally:
        platform.close()

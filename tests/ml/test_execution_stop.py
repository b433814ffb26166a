"""A request to stop: seen between steps, or raised at once where nothing can be saved."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from pipeline.errors import StoppedAtCheckpoint
from pipeline.execution import StopFlag


@pytest.fixture
def stop() -> Iterator[StopFlag]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    flag = StopFlag()
    flag.install()
    yield flag
    for number, handler in before.items():
        signal.signal(number, handler)


def long_step() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


def test_a_signal_is_noted_and_the_work_goes_on(stop: StopFlag) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_work_that_saves_nothing_ends_in_the_middle_of_a_step(stop: StopFlag) -> None:
    with pytest.raises(StoppedAtCheckpoint, match="starts over"), stop.raising("starts over"):
        long_step()
    assert stop


def test_a_signal_before_the_work_keeps_it_from_starting(stop: StopFlag) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(StoppedAtCheckpoint), stop.raising("starts over"):
        pytest.fail("it started")


def test_behind_the_work_a_signal_is_only_noted(stop: StopFlag) -> None:
    with stop.raising("starts over"):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop

"""What a recipe is given besides its spec: where to write, how to report, when to stop.

A recipe is a function `run(spec, context) -> RecipeResult`. The outermost frame,
`pipeline.run_command`, writes the first and the terminal event; a recipe writes those between.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pipeline.contracts.events import (
    MAX_LINE_BYTES,
    ArtifactWritten,
    CheckpointSaved,
    Event,
    MetricsLogged,
    Payload,
    Progress,
    RunWarning,
)
from pipeline.contracts.results import Results
from pipeline.errors import WARNING_CODES, StoppedAtCheckpoint

PROGRESS_INTERVAL_SECONDS = 1.0


class EventSink(Protocol):
    """Where events go."""

    def emit(self, payload: Payload) -> None:
        """The event is durable in the order of the calls."""


class JsonlEventSink:
    """Appends events to `events.jsonl`, one `write` each, so that a reader never sees half a line
    of a live run; a torn last line can only come from a kill or a full disk and is cut when the
    file is reopened.
    """

    def __init__(self, path: Path, *, run_id: str, attempt: int) -> None:
        self._run_id = run_id
        self._attempt = attempt
        self._lock = threading.Lock()
        self._seq = 0
        self._is_torn = False
        _drop_torn_line(path)
        self._file = path.open("ab", buffering=0)

    def emit(self, payload: Payload) -> None:
        """The event is in the file.

        Raises:
            ValueError: its line would be longer than readers take.
        """
        with self._lock:
            event = Event(
                run_id=self._run_id,
                attempt=self._attempt,
                seq=self._seq + 1,
                at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                kind=payload.kind,
                payload=payload,
            )
            line = event.model_dump_json().encode()
            if len(line) > MAX_LINE_BYTES:
                raise ValueError(
                    f"a {payload.kind} event of {len(line)} bytes; readers take at most "
                    f"{MAX_LINE_BYTES}: say less, or write a file and name it"
                )
            self._append(line + b"\n")
            self._seq += 1

    def _append(self, line: bytes) -> None:
        """The line is in the file.

        Raises:
            OSError: it is not, or only in part; the next event begins a line of its own.
        """
        # What a reader may have seen already is never taken back, so a torn line gets its end.
        rest = memoryview(b"\n" + line if self._is_torn else line)
        while rest:
            # Where the disk is nearly full a write takes what fits and says so, and the next fails.
            num_written = self._file.write(rest)
            self._is_torn = num_written < len(rest)
            rest = rest[num_written:]

    def close(self) -> None:
        """The file is flushed to disk and closed."""
        os.fsync(self._file.fileno())
        self._file.close()


def _drop_torn_line(path: Path) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
    complete = content.rfind(b"\n") + 1
    if complete != len(content):
        os.truncate(path, complete)


class StopFlag:
    """Set by SIGTERM or SIGINT; recipes look at it between steps."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._raised_message: str | None = None

    def set(self) -> None:
        """A stop is requested."""
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def install(self) -> None:
        """SIGTERM and SIGINT now request a stop; a second signal of the same kind ends at once."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    @contextmanager
    def raising(self, message: str) -> Iterator[None]:
        """A signal inside raises at once, for work that has nothing to save and long steps.

        Raises:
            StoppedAtCheckpoint: with `message`, wherever the program is.
        """
        self._raised_message = message
        try:
            if self:
                raise StoppedAtCheckpoint(message)
            yield
        finally:
            self._raised_message = None

    def _on_signal(self, number: int, _frame: object) -> None:
        self.set()
        signal.signal(number, signal.SIG_DFL)
        if self._raised_message is not None:
            raise StoppedAtCheckpoint(self._raised_message)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecipeResult:
    """What a recipe found; `pipeline.run_command` adds the environment and writes `report.json`."""

    results: Results
    outputs: dict[str, Path] = field(default_factory=dict)
    """Absolute paths inside the run directory, by output name."""
    inputs: dict[str, str] = field(default_factory=dict)
    """Digest of each file or model that was read, by dotted path of the spec."""
    definitions: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class RunContext:
    """The execution a recipe belongs to. Paths in events and reports are relative to `run_dir`."""

    run_dir: Path
    spec_digest: str
    """Identifies the run: digest of the document it was started with."""
    events: EventSink
    stop: StopFlag = field(default_factory=StopFlag)
    resume_from: Path | None = None
    """A checkpoint directory whose manifest verified, or None for a fresh start."""

    def relative(self, path: Path) -> str:
        """`path` as events and reports write it."""
        return path.relative_to(self.run_dir).as_posix()

    def log_metrics(self, step: int | None, **metrics: float) -> None:
        """Figures are in the event stream."""
        self.events.emit(MetricsLogged(step=step, metrics=metrics))

    def warn(self, code: str, message: str) -> None:
        """A person will see `message`; the run goes on."""
        if code not in WARNING_CODES:
            raise ValueError(f"there is no warning code {code!r}; add it to errors.py")
        self.events.emit(RunWarning(code=code, message=message))

    def checkpoint_saved(self, step: int, path: Path, manifest_sha256: str) -> None:
        """The supervisor may resume from `path`."""
        self.events.emit(
            CheckpointSaved(step=step, path=self.relative(path), manifest_sha256=manifest_sha256)
        )

    def artifact_written(self, output: str, path: Path) -> None:
        """Later steps may name `output`."""
        self.events.emit(ArtifactWritten(output=output, path=self.relative(path)))

    def raise_if_stopped(self, message: str) -> None:
        """No stop was requested.

        Raises:
            StoppedAtCheckpoint: one was, and nothing more needs to be saved.
        """
        if self.stop:
            raise StoppedAtCheckpoint(message)

    def progress(self, stage: str, total: float, unit: str, *, done: float = 0) -> "StageProgress":
        """A reporter for one stage; the first event is written now."""
        return StageProgress(self.events, stage=stage, total=total, unit=unit, done=done)


class StageProgress:
    """Reports one stage at most once a second, with the time left at the mean rate so far."""

    def __init__(
        self,
        events: EventSink,
        *,
        stage: str,
        total: float,
        unit: str,
        done: float = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._events, self._stage, self._total, self._unit = events, stage, total, unit
        self._clock = clock
        self._done_at_start = self._done = done
        self._started = clock()
        self._reported = float("-inf")
        self._report()

    def advance_to(self, done: float) -> None:
        """`done` units of the stage are complete."""
        self._done = done
        if done >= self._total or self._clock() - self._reported >= PROGRESS_INTERVAL_SECONDS:
            self._report()

    def advance(self, amount: float = 1) -> None:
        """`amount` more units are complete."""
        self.advance_to(self._done + amount)

    def _report(self) -> None:
        now = self._clock()
        self._reported = now
        progressed = self._done - self._done_at_start
        eta = None
        if progressed > 0:
            eta = max(0.0, (now - self._started) / progressed * (self._total - self._done))
        self._events.emit(
            Progress(
                stage=self._stage,
                done=self._done,
                total=self._total,
                unit=self._unit,
                eta_seconds=eta,
            )
        )

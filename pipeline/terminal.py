"""A run's event stream as lines for a person at a terminal."""

import sys
import time
from pathlib import Path
from typing import TextIO

from pydantic import ValidationError

from pipeline.contracts.events import MetricsLogged, Progress, RunWarning, parse_event

PLAIN_INTERVAL_SECONDS = 15.0
"""Without a terminal to redraw, a progress line is printed this often."""


class EventFollower:
    """Reads what was appended to an `events.jsonl` since the last look and shows the newest state.

    On a terminal one line is redrawn; elsewhere a line is printed now and then.
    """

    def __init__(self, path: Path, *, label: str, stream: TextIO = sys.stderr) -> None:
        self._path, self._label, self._stream = path, label, stream
        # Events of an earlier, interrupted attempt have been shown.
        self._offset = path.stat().st_size if path.exists() else 0
        self._is_terminal = stream.isatty()
        self._printed_at = float("-inf")
        self._loss: float | None = None
        self._progress: Progress | None = None

    def poll(self) -> None:
        """The newest progress is on the stream."""
        changed = False
        for line in self._new_lines():
            try:
                payload = parse_event(line).payload
            except ValidationError:
                continue
            if isinstance(payload, Progress):
                self._progress, changed = payload, True
            elif isinstance(payload, MetricsLogged) and "loss" in payload.metrics:
                self._loss = payload.metrics["loss"]
            elif isinstance(payload, RunWarning):
                self._write(f"warning[{payload.code}]: {payload.message}")
        if changed:
            self._show()

    def close(self, outcome: str) -> None:
        """The label and the outcome stand as a finished line."""
        self._write(f"{self._label:<28} {outcome}")

    def _new_lines(self) -> list[bytes]:
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            content = file.read()
        complete = content.rfind(b"\n") + 1
        self._offset += complete
        return content[:complete].splitlines()

    def _show(self) -> None:
        progress = self._progress
        if progress is None:
            return
        text = (
            f"{self._label:<28} {progress.stage:<10} "
            f"{progress.done:,.0f}/{progress.total:,.0f} {progress.unit}"
        )
        if self._loss is not None:
            text += f"  loss {self._loss:.3f}"
        if progress.eta_seconds is not None:
            text += f"  {duration(progress.eta_seconds)} left"
        if self._is_terminal:
            self._stream.write(f"\r\x1b[2K{text}")
            self._stream.flush()
        elif time.monotonic() - self._printed_at >= PLAIN_INTERVAL_SECONDS:
            self._printed_at = time.monotonic()
            self._write(text)

    def _write(self, text: str) -> None:
        prefix = "\r\x1b[2K" if self._is_terminal else ""
        self._stream.write(f"{prefix}{text}\n")
        self._stream.flush()


def duration(seconds: float) -> str:
    """`1:02` for 62 seconds, `1:00:05` for 3605."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

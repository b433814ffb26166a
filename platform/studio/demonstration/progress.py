"""A plan at the terminal, told from the database as the browser's page is."""

import time
from typing import TextIO
from uuid import UUID

from django.utils import translation

from studio.runs.models import Plan, Run, RunEvent
from studio.runs.presentation import run_duration, run_progress
from studio.runs.states import RunState

PLAIN_INTERVAL_SECONDS = 15.0
"""Without a terminal to redraw, a progress line is printed this often."""


class PlanFollower:
    """Writes a line for each step that ends, and the running step's progress in between."""

    def __init__(self, plan: Plan, *, stream: TextIO) -> None:
        self._plan, self._stream = plan, stream
        self._is_terminal = stream.isatty()
        self._printed_at = float("-inf")
        self._ended: set[UUID] = set()
        self._attempts: dict[UUID, int] = {}

    def poll(self) -> bool:
        """What is new is on the stream; True once every step has ended."""
        runs = list(self._plan.runs.current_steps().defer("spec", "report").order_by("finished_at"))
        with translation.override("en"):
            for run in runs:
                self._tell(run)
            running = next((run for run in runs if run.is_active), None)
            if running is not None:
                self._show(running)
        return all(run.is_terminal for run in runs)

    def _tell(self, run: Run) -> None:
        if run.is_terminal and run.pk not in self._ended:
            self._ended.add(run.pk)
            outcome = run.state
            if run.started_at is not None:
                outcome += f" in {run_duration(run)}"
            if run.state != RunState.SUCCEEDED:
                outcome += f"  [{run.error_code}] {run.error_message}"
            self._write(f"{run.step_id:<28} {outcome}")
        elif run.is_active and run.attempt > max(1, self._attempts.get(run.pk, run.attempt)):
            self._write(f"{run.step_id:<28} goes on as attempt {run.attempt}")
        self._attempts[run.pk] = run.attempt

    def _show(self, run: Run) -> None:
        due = time.monotonic() - self._printed_at >= PLAIN_INTERVAL_SECONDS
        progress = run_progress(run)
        if progress is None or not (self._is_terminal or due):
            return
        text = f"{run.step_id:<28} {progress.stage:<10} {progress.amount}"
        loss = _newest_loss(run)
        if loss is not None:
            text += f"  loss {loss:.3f}"
        if progress.time_left:
            text += f"  {progress.time_left} left"
        if self._is_terminal:
            self._stream.write(f"\r\x1b[2K{text}")
            self._stream.flush()
        else:
            self._printed_at = time.monotonic()
            self._write(text)

    def _write(self, text: str) -> None:
        prefix = "\r\x1b[2K" if self._is_terminal else ""
        self._stream.write(f"{prefix}{text}\n")
        self._stream.flush()


def _newest_loss(run: Run) -> float | None:
    logged = RunEvent.objects.filter(run=run, kind="MetricsLogged", attempt=run.attempt)
    newest = logged.order_by("-seq").first()
    loss = newest.payload["metrics"].get("loss") if newest is not None else None
    return None if loss is None else float(loss)

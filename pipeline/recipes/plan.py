"""Executes a plan on this machine: each step is a child process, finished steps are kept.

    <run dir>/steps/<step id>/      the step's own run directory
    <run dir>/report.json           every step's report, seconds and state

A plan started again with the same run directory skips steps whose report belongs to the same
resolved spec, in whatever version it was written, and resumes the interrupted one from its newest
verified checkpoint.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from pydantic import ValidationError

from pipeline.contracts.codec import canonical_json
from pipeline.contracts.documents import read_run_spec
from pipeline.contracts.events import RunFailed, parse_event
from pipeline.contracts.kinds import RunSpec
from pipeline.contracts.plans import check_gates, execution_order, resolve_references
from pipeline.contracts.reports import Report, parse_report
from pipeline.contracts.results import PlanResults, StepOutcome
from pipeline.contracts.specs import PlanSpec, PlanStep
from pipeline.errors import StepError, StoppedAtCheckpoint
from pipeline.execution import RecipeResult, RunContext
from pipeline.terminal import EventFollower, duration

logger = logging.getLogger(__name__)
POLL_SECONDS = 0.2
STOPPED = StoppedAtCheckpoint.exit_status
CHILD_ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}

Outputs = dict[tuple[str, str], tuple[str, str | None]]
StepRunner = Callable[[PlanStep, RunSpec, Path, RunContext], None]
"""Runs a step with its resolved spec in its directory, and returns when it has succeeded."""


def run(spec: PlanSpec, context: RunContext) -> RecipeResult:
    """Every step has succeeded and every gate holds; each ran as a child process."""
    return run_steps(spec, context, run_step=run_as_child)


def run_steps(spec: PlanSpec, context: RunContext, *, run_step: StepRunner) -> RecipeResult:
    """Every step has succeeded and every gate holds.

    Raises:
        StepError: a step ended with an error.
        GateError: a gate does not hold.
        StoppedAtCheckpoint: a stop was requested; the running step saved a checkpoint.
        SpecError: the steps' references cannot be resolved.
    """
    order = execution_order(spec)
    progress = context.progress("plan", total=len(order), unit="steps")
    outputs: Outputs = {}
    steps: dict[str, StepOutcome] = {}
    for index, step in enumerate(order):
        context.raise_if_stopped("stopped between two steps; run the same command again to go on")
        resolved = resolve_references(step.spec, outputs)
        step_dir = context.run_dir / "steps" / step.id
        report = _finished_report(step_dir, resolved)
        kept = report is not None
        if report is None:
            run_step(step, resolved, step_dir, context)
            report = _finished_report(step_dir, resolved)
            if report is None:
                raise StepError(
                    step.id, "run.no_report", "ended with status 0 but wrote no report", 1
                )
        check_gates(step.id, step.gates, report)
        for name, output in report.outputs.items():
            outputs[step.id, name] = (str(step_dir / output.path), output.digest)
        steps[step.id] = StepOutcome(kind=report.kind, seconds=report.seconds, kept=kept)
        logger.info(
            "step %s: %s%s; %d of %d done, about %s left",
            step.id,
            duration(report.seconds),
            " (kept)" * kept,
            index + 1,
            len(order),
            duration(_seconds_left(order[index + 1 :], steps)),
        )
        progress.advance_to(index + 1)
    return RecipeResult(results=PlanResults(steps=steps))


def _seconds_left(ahead: Sequence[PlanStep], done: Mapping[str, StepOutcome]) -> float:
    """What the steps ahead will take if each takes the mean of its kind so far, or of all."""
    by_kind: dict[str, list[float]] = {}
    for outcome in done.values():
        by_kind.setdefault(outcome.kind, []).append(outcome.seconds)
    every = [outcome.seconds for outcome in done.values()]
    return sum(fmean(by_kind.get(step.spec.kind, every)) for step in ahead)


def _finished_report(step_dir: Path, spec: RunSpec) -> Report | None:
    path, written = step_dir / "report.json", step_dir / "spec.json"
    if not path.exists() or not written.exists():
        return None
    held, report = read_run_spec(written.read_bytes()), parse_report(path.read_bytes())
    return report if held.spec == spec and report.spec_digest == held.digest else None


def run_as_child(step: PlanStep, spec: RunSpec, step_dir: Path, context: RunContext) -> None:
    """The step has succeeded in a process of its own, which gives its memory back.

    Raises:
        StepError, StoppedAtCheckpoint: as `run_steps`.
    """
    step_dir.mkdir(parents=True, exist_ok=True)
    request = step_dir / "request.json"
    request.write_bytes(canonical_json(spec))
    command = [sys.executable, "-m", "pipeline", "run", str(request), "--run-dir", str(step_dir)]
    command += ["--replace"]  # a changed spec starts the step anew
    follower = EventFollower(step_dir / "events.jsonl", label=step.id)
    started = time.monotonic()
    with (step_dir / "stderr.log").open("ab") as log:
        child = subprocess.Popen(  # noqa: S603 (our own interpreter and module)
            command, stderr=log, start_new_session=True, env=os.environ | CHILD_ENVIRONMENT
        )
        forwarded = False
        while (status := child.poll()) is None:
            follower.poll()
            if context.stop and not forwarded:
                child.send_signal(signal.SIGTERM)
                forwarded = True
            time.sleep(POLL_SECONDS)
    if forwarded and status == -signal.SIGTERM:
        status = STOPPED  # it had not yet begun to listen, so there is nothing to save
    outcome = {0: "done", STOPPED: "stopped"}.get(status, "FAILED")
    follower.close(f"{outcome} in {duration(time.monotonic() - started)}")
    if status == STOPPED:
        raise StoppedAtCheckpoint(
            f"stopped in step {step.id!r}; run the same command again to go on"
        )
    if status != 0:
        code, message = _terminal_error(step_dir, status)
        raise StepError(step.id, code, message, status if status > 0 else 1)


def _terminal_error(step_dir: Path, status: int) -> tuple[str, str]:
    """The code and message of the failed step, from its last event."""
    events = step_dir / "events.jsonl"
    last = events.read_bytes().rstrip().rsplit(b"\n", 1)[-1] if events.exists() else b""
    # A killed step may leave none, or half a line.
    with contextlib.suppress(ValidationError):
        payload = parse_event(last).payload
        if isinstance(payload, RunFailed):
            return payload.code, payload.message
    cause = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    return "run.crashed", f"{cause} without saying why; see {step_dir / 'stderr.log'}"

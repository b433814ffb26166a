"""Supervises one attempt of a run: claim, child process, heartbeat, events, end.

The supervisor never imports the model code. It trusts the child's exit status and `report.json`,
and the database about who holds the run: when its lease cannot be renewed it kills its child, long
before the reaper gives the run to someone else.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from pydantic import ValidationError

from pipeline.contracts.events import RunFailed, parse_event
from pipeline.contracts.manifest import MANIFEST_NAME, Manifest, newest_verified_checkpoint
from pipeline.contracts.reports import parse_report
from pipeline.errors import SpecError, StoppedAtCheckpoint
from studio.runs import lifecycle
from studio.runs.lifecycle import Claim
from studio.runs.paths import attempt_dir, log_tail
from workers.child import Child
from workers.devices import DeviceSlot
from workers.event_tail import EventTail

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.25
LOOK_SECONDS = 1.0
"""A person who cancels a run watches; the heartbeat would let them wait for ten seconds."""
LOCK_WAIT_SECONDS = 3.0
"""A supervisor that just died may take its child with it only a moment later."""
LOG_TAIL_BYTES = 4000
DATABASE_RETRY_SECONDS = 1.0


class Fenced(Exception):  # noqa: N818 (not an error of ours: someone else holds the run now)
    """The attempt no longer holds its run."""


def supervise(run_id: UUID, *, slot: DeviceSlot, is_draining: Callable[[], bool]) -> None:
    """One attempt of the run was executed to its end on `slot`, if it was there to be claimed.

    Args:
        run_id: what the wake-up message named; stale and duplicated messages do no harm.
        slot: taken for the whole attempt; when someone else works there, nothing is claimed.
        is_draining: asked again and again; once true, the child is stopped at a checkpoint.
    """
    with _sigterm_as_flag() as terminated, slot.acquired(timeout_seconds=LOCK_WAIT_SECONDS) as lock:

        def should_drain() -> bool:
            return terminated.is_set() or is_draining()

        if lock is None:
            logger.warning("slot %s is taken; run %s stays queued", slot.owner, run_id)
            return
        if should_drain():
            return
        slot.kill_leftovers()
        claim = lifecycle.claim(run_id, slot=slot.owner, queue=slot.queue)
        if claim is None:
            logger.info("run %s was not there to be claimed", run_id)
            return
        logger.info("run %s attempt %d: claimed by %s", run_id, claim.attempt, slot.owner)
        try:
            _Supervision(claim, slot=slot, lock=lock, should_drain=should_drain).execute()
        except Exception as exc:
            # Outermost frame of an attempt: whatever is wrong with us must not look like a hang.
            logger.exception("run %s attempt %d", run_id, claim.attempt)
            lifecycle.finish_failed(
                run_id,
                claim.attempt,
                code="worker.internal_error",
                message=f"{type(exc).__name__}: {exc}; the worker's log has the traceback",
                is_retryable=False,
                exit_status=None,
            )
        finally:
            slot.kill_leftovers()


class _Supervision:
    """One claimed attempt."""

    def __init__(
        self, claim: Claim, *, slot: DeviceSlot, lock: int, should_drain: Callable[[], bool]
    ) -> None:
        self._claim, self._slot, self._lock = claim, slot, lock
        self._should_drain = should_drain
        self._run_id, self._attempt = claim.run_id, claim.attempt
        self._directory = attempt_dir(claim.run_id, claim.attempt)
        self._started = self._renewed = self._beaten = self._looked = time.monotonic()
        self._is_cancelled = self._is_overdue = False
        self._failure: RunFailed | None = None

    def execute(self) -> None:
        """The attempt has ended and the database knows how, unless we were fenced."""
        try:
            resume_from = self._choose_checkpoint()
            child = Child(self._claim, slot=self._slot, lock=self._lock, resume_from=resume_from)
            try:
                status = self._watch(child, resume_from)
            finally:
                child.kill()
            self._finish(status)
        except Fenced as exc:
            logger.warning("run %s attempt %d: fenced: %s", self._run_id, self._attempt, exc)

    def _choose_checkpoint(self) -> Path | None:
        """The newest whole checkpoint of an earlier attempt at the same spec.

        Hashing a large checkpoint takes longer than a lease, hence the thread and the heartbeat.
        """
        with ThreadPoolExecutor(max_workers=1) as executor:
            found = executor.submit(_newest_checkpoint, self._claim)
            while not found.done():
                self._beat()
                time.sleep(POLL_SECONDS)
            return found.result()

    def _watch(self, child: Child, resume_from: Path | None) -> int:
        """The exit status of the child; all its events are stored."""
        logger.info(
            "run %s attempt %d: pid %d, resumed from %s",
            *(self._run_id, self._attempt, child.pid, resume_from),
        )
        self._store(
            lambda: lifecycle.attempt_started(
                self._run_id,
                self._attempt,
                pid=child.pid,
                resumed_from=_relative(resume_from) if resume_from else "",
            )
        )
        tail = EventTail(self._directory / "events.jsonl")
        try:
            while (status := child.poll()) is None:
                self._ingest(tail.read_lines())
                self._beat()
                if self._should_stop():
                    child.request_stop(grace_seconds=settings.STUDIO_STOP_GRACE_SECONDS)
                time.sleep(POLL_SECONDS)
            while lines := tail.read_lines():
                self._ingest(lines)
        finally:
            tail.close()
        if child.is_stopping and status < 0:
            status = StoppedAtCheckpoint.exit_status
        return status

    def _should_stop(self) -> bool:
        deadline = settings.STUDIO_DEADLINE_SECONDS[self._claim.queue]
        self._is_overdue = time.monotonic() - self._started > deadline
        return self._is_cancelled or self._is_overdue or self._should_drain()

    def _finish(self, status: int) -> None:
        """The database knows the outcome."""
        if self._is_overdue and status != 0:
            deadline = settings.STUDIO_DEADLINE_SECONDS[self._claim.queue]
            self._fail(
                "worker.deadline_exceeded",
                f"stopped after {deadline:g} s, the longest a run may take on the "
                f"{self._claim.queue} queue",
                status,
            )
        elif status == 0:
            self._succeed()
        elif status == StoppedAtCheckpoint.exit_status:
            self._store(
                lambda: lifecycle.finish_stopped(self._run_id, self._attempt, exit_status=status)
            )
        elif status < 0:
            message = f"the process was killed by {_signal_name(-status)}{self._log_tail()}"
            self._store(
                lambda: lifecycle.attempt_lost(
                    self._run_id, self._attempt, message=message, exit_status=status
                )
            )
        elif self._failure is not None:
            failure = self._failure
            self._fail(failure.code, failure.message, status, is_retryable=failure.retryable)
        else:
            message = f"ended with status {status} without saying why{self._log_tail()}"
            self._fail("worker.child_crashed", message, status)

    def _succeed(self) -> None:
        path = self._directory / "report.json"
        try:
            report = parse_report(path.read_bytes())
        except (OSError, SpecError) as exc:
            self._fail("worker.report_invalid", f"{path.name} cannot be used: {exc}", 0)
            return
        self._store(lambda: lifecycle.finish_succeeded(self._run_id, self._attempt, report))

    def _fail(self, code: str, message: str, status: int, *, is_retryable: bool = False) -> None:
        self._store(
            lambda: lifecycle.finish_failed(
                self._run_id,
                self._attempt,
                code=code,
                message=message,
                is_retryable=is_retryable,
                exit_status=status,
            )
        )

    def _ingest(self, lines: list[bytes]) -> None:
        if not lines:
            return
        for line in lines:
            if b'"RunFailed"' in line:
                self._failure = _failure(line) or self._failure
        self._store(lambda: lifecycle.ingest_events(self._run_id, self._attempt, lines))

    def _beat(self) -> None:
        """The lease was renewed within the heartbeat, and a cancel request is known soon.

        Raises:
            Fenced: another attempt holds the run, or nobody confirmed that we do for too long.
        """
        now = time.monotonic()
        try:
            if now - self._beaten >= settings.STUDIO_HEARTBEAT_SECONDS:
                self._beaten = now
                if not lifecycle.renew(self._run_id, self._attempt):
                    raise Fenced("another attempt holds the run")
                self._renewed = now
            if now - self._looked >= LOOK_SECONDS:
                self._looked = now
                self._is_cancelled = lifecycle.is_cancel_requested(self._run_id, self._attempt)
        except (OperationalError, InterfaceError):
            logger.exception("run %s: the database does not answer", self._run_id)
            connection.close()
        if time.monotonic() - self._renewed > settings.STUDIO_SELF_KILL_SECONDS:
            raise Fenced("the lease could not be renewed")

    def _store(self, write: Callable[[], bool]) -> None:
        """`write` has reached the database, however long that was away.

        Raises:
            Fenced: the attempt no longer holds its run.
        """
        while True:
            try:
                if not write():
                    raise Fenced("another attempt holds the run")
            except (OperationalError, InterfaceError):
                logger.exception("run %s: the database does not answer", self._run_id)
                connection.close()
                time.sleep(DATABASE_RETRY_SECONDS)
                self._beat()
            else:
                return

    def _log_tail(self) -> str:
        tail = log_tail(self._run_id, self._attempt, max_bytes=LOG_TAIL_BYTES).strip()
        return f"; the end of its log:\n{tail}" if tail else " and without a log"


def _newest_checkpoint(claim: Claim) -> Path | None:
    for run_id, attempt in claim.earlier_attempts:
        found = newest_verified_checkpoint(attempt_dir(run_id, attempt))
        if found is None:
            continue
        manifest = Manifest.parse((found / MANIFEST_NAME).read_bytes())
        # A step that a restarted plan resolved to other inputs has nothing to continue.
        if manifest.spec_digest == claim.spec_digest:
            return found
    return None


def _relative(path: Path) -> str:
    return path.relative_to(settings.STUDIO_DATA_DIR).as_posix()


def _failure(line: bytes) -> RunFailed | None:
    try:
        payload = parse_event(line).payload
    except ValidationError:
        return None
    return payload if isinstance(payload, RunFailed) else None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@contextmanager
def _sigterm_as_flag() -> Iterator[threading.Event]:
    """SIGTERM sets the flag instead of ending this process, which would end the child with it."""
    flag = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: flag.set())
    try:
        yield flag
    finally:
        signal.signal(signal.SIGTERM, before)

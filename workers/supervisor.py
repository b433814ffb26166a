"""Supervises one attempt of a run: claim, child process, heartbeat, events, end.

The supervisor never imports the model code. It trusts the child's exit status and `report.json`,
and the database about who holds the run: when its lease cannot be renewed its child is killed, long
before the reaper gives the run to someone else (`lease`).
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID

from django.conf import settings
from pydantic import ValidationError

from pipeline.contracts.events import RunFailed, parse_event
from pipeline.contracts.reports import Report, parse_report
from pipeline.contracts.storable import storable_json
from pipeline.errors import SpecError, StoppedAtCheckpoint, StorageError, is_disk_full
from studio.runs import lifecycle
from studio.runs.lifecycle import Claim
from studio.runs.logs import BoundedLog, log_tail
from studio.runs.paths import STDERR_NAME, attempt_dir
from workers.child import Child
from workers.devices import DeviceSlot
from workers.event_tail import EventTail
from workers.lease import Fenced, Lease
from workers.resuming import SKIPPED, Resumption, find_resumption
from workers.watchdog import Watchdog, leave

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.25
LOCK_WAIT_SECONDS = 3.0
"""A supervisor that just died may take its child with it only a moment later."""
LOG_TAIL_BYTES = 4000


def supervise(run_id: UUID, *, slot: DeviceSlot, is_draining: Callable[[], bool]) -> None:
    """One attempt of the run that waits longest was executed to its end on `slot`.

    Args:
        run_id: what the wake-up message named; stale and duplicated messages do no harm.
        slot: taken for the whole attempt; when someone else works there, nothing is claimed.
        is_draining: asked again and again; once true, the child is stopped at a checkpoint.
    """
    with (
        _sigterm_as_flag() as terminated,
        slot.acquired(timeout_seconds=LOCK_WAIT_SECONDS) as lock,
        # Two leases without a step of ours: the run is somebody else's by now, the slot must be.
        Watchdog(leave, limit_seconds=2 * settings.STUDIO_LEASE_SECONDS) as moving,
    ):

        def should_drain() -> bool:
            return terminated.is_set() or is_draining()

        if lock is None:
            logger.warning("slot %s is taken; run %s stays queued", slot.owner, run_id)
            return
        if should_drain():
            return
        slot.kill_leftovers()
        asked_at = time.monotonic()
        claim = lifecycle.claim_oldest(run_id, slot=slot.owner, queue=slot.queue)
        if claim is None:
            logger.info("run %s was not there to be claimed, nor any other", run_id)
            return
        logger.info("run %s attempt %d: claimed by %s", claim.run_id, claim.attempt, slot.owner)
        try:
            with Lease(claim, asked_at=asked_at, moving=moving) as lease:
                _Supervision(
                    claim, lease, slot=slot, lock=lock, should_drain=should_drain
                ).execute()
        except Exception as exc:
            # Outermost frame of an attempt: whatever is wrong with us must not look like a hang.
            logger.exception("run %s attempt %d", claim.run_id, claim.attempt)
            is_full = is_disk_full(exc)
            lifecycle.finish_failed(
                claim.run_id,
                claim.attempt,
                code="storage.full" if is_full else "worker.internal_error",
                message=f"{type(exc).__name__}: {exc}; the worker's log has the traceback",
                is_retryable=is_full,
                exit_status=None,
            )
        finally:
            slot.kill_leftovers()


class _Supervision:
    """One claimed attempt."""

    def __init__(
        self,
        claim: Claim,
        lease: Lease,
        *,
        slot: DeviceSlot,
        lock: int,
        should_drain: Callable[[], bool],
    ) -> None:
        self._claim, self._lease, self._slot, self._lock = claim, lease, slot, lock
        self._should_drain = should_drain
        self._run_id, self._attempt = claim.run_id, claim.attempt
        self._directory = attempt_dir(claim.run_id, claim.attempt)
        self._report_path = self._directory / "report.json"
        self._started = time.monotonic()
        self._is_overdue = False
        self._failure: RunFailed | None = None

    def execute(self) -> None:
        """The attempt has ended and the database knows how, unless we were fenced."""
        try:
            start = self._choose_checkpoint()
            child = Child(
                self._claim, slot=self._slot, lock=self._lock, resume_from=start.checkpoint
            )
            self._lease.protects(child)
            try:
                status = self._watch(child, start)
            finally:
                child.kill()
            self._finish(status)
        except Fenced as exc:
            logger.warning("run %s attempt %d: fenced: %s", self._run_id, self._attempt, exc)

    def _choose_checkpoint(self) -> Resumption:
        """Where to start; the run's page says which damaged checkpoints were passed over.

        Hashing a large checkpoint takes longer than a lease, hence the thread and the heartbeat.
        """
        with ThreadPoolExecutor(max_workers=1) as executor:
            found = executor.submit(find_resumption, self._claim)
            while not found.done():
                self._lease.beat()
                time.sleep(POLL_SECONDS)
            start = found.result()
        if start.warning:
            self._lease.store(
                lambda: lifecycle.attempt_warned(
                    self._run_id, self._attempt, code=SKIPPED, message=start.warning
                )
            )
        return start

    def _watch(self, child: Child, start: Resumption) -> int:
        """The exit status of the child; all its events are stored."""
        logger.info(
            "run %s attempt %d: pid %d, resumed from %s",
            *(self._run_id, self._attempt, child.pid, start.checkpoint),
        )
        self._lease.store(
            lambda: lifecycle.attempt_started(
                self._run_id, self._attempt, pid=child.pid, resumed_from=start.relative
            )
        )
        tail = EventTail(self._directory / "events.jsonl")
        log = BoundedLog(self._directory / STDERR_NAME)
        try:
            while (status := child.poll()) is None:
                self._ingest(tail.read_lines())
                self._lease.beat()
                log.trim()
                if self._should_stop():
                    child.request_stop(grace_seconds=settings.STUDIO_STOP_GRACE_SECONDS)
                if not tail.is_behind:
                    time.sleep(POLL_SECONDS)
            for lines in tail.remaining():
                self._ingest(lines)
                self._lease.beat()
        finally:
            tail.close()
            log.close()
        if child.is_stopping and status < 0:
            status = StoppedAtCheckpoint.exit_status
        return status

    def _should_stop(self) -> bool:
        deadline = settings.STUDIO_DEADLINE_SECONDS[self._claim.queue]
        self._is_overdue = time.monotonic() - self._started > deadline
        return self._lease.is_cancelled or self._is_overdue or self._should_drain()

    def _finish(self, status: int) -> None:
        """The database knows the outcome."""
        if status == 0:
            self._succeed()
        elif self._failure is None and (report := self._report()) is not None:
            # Written last: the child had finished, and was killed before it could say so.
            logger.warning(
                "run %s attempt %d: ended with status %d, but its report is whole",
                *(self._run_id, self._attempt, status),
            )
            self._publish(report)
        elif self._is_overdue:
            deadline = settings.STUDIO_DEADLINE_SECONDS[self._claim.queue]
            self._fail(
                "worker.deadline_exceeded",
                f"stopped after {deadline:g} s, the longest a run may take on the "
                f"{self._claim.queue} queue",
                status,
            )
        elif status == StoppedAtCheckpoint.exit_status:
            self._lease.store(
                lambda: lifecycle.finish_stopped(self._run_id, self._attempt, exit_status=status)
            )
        elif self._failure is not None:
            failure = self._failure
            self._fail(failure.code, failure.message, status, is_retryable=failure.retryable)
        elif status < 0:
            self._lose(status)
        elif status == StorageError.exit_status:
            # The disk had no room for the event that would have said so.
            message = f"no space is left on the disk of {self._directory}; free some"
            self._fail("storage.full", message, status, is_retryable=StorageError.retryable)
        else:
            message = f"ended with status {status} without saying why{self._log_tail()}"
            self._fail("worker.child_crashed", message, status)

    def _succeed(self) -> None:
        try:
            report = parse_report(storable_json(self._report_path.read_bytes()))
        except (OSError, SpecError) as exc:
            name = self._report_path.name
            self._fail("worker.report_invalid", f"{name} cannot be used: {exc}", 0)
        else:
            self._publish(report)

    def _report(self) -> Report | None:
        """What the child found, if it came to that."""
        try:
            return parse_report(storable_json(self._report_path.read_bytes()))
        except (OSError, SpecError):
            return None

    def _publish(self, report: Report) -> None:
        self._lease.store(lambda: lifecycle.finish_succeeded(self._run_id, self._attempt, report))

    def _lose(self, status: int) -> None:
        cause = f"the process was killed by {_signal_name(-status)}"
        if self._lease.has_killed:
            cause = "the process was killed because its lease could not be renewed in time"
        message = f"{cause}{self._log_tail()}"
        self._lease.store(
            lambda: lifecycle.attempt_lost(
                self._run_id, self._attempt, message=message, exit_status=status
            )
        )

    def _fail(self, code: str, message: str, status: int, *, is_retryable: bool = False) -> None:
        self._lease.store(
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
        self._lease.store(lambda: lifecycle.ingest_events(self._run_id, self._attempt, lines))

    def _log_tail(self) -> str:
        tail = log_tail(self._run_id, self._attempt, max_bytes=LOG_TAIL_BYTES).strip()
        return f"; the end of its log:\n{tail}" if tail else " and without a log"


def _failure(line: bytes) -> RunFailed | None:
    try:
        payload = parse_event(storable_json(line)).payload
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

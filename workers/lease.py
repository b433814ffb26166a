"""The hold of an attempt on its run: renewed by heartbeats, and ended by a watchdog."""

import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import InterfaceError, InternalError, OperationalError, connection

from studio.runs import lifecycle
from studio.runs.lifecycle import Claim
from workers.child import Child
from workers.watchdog import Watchdog

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""A person who cancels a run watches; the heartbeat would let them wait for ten seconds."""
DATABASE_RETRY_SECONDS = 1.0
STORE_LEASES = 4
"""A database that renews our lease and refuses a write for longer than this will not take it."""
DATABASE_AWAY = (OperationalError, InterfaceError, InternalError)
"""InternalError: PostgreSQL ended a transaction that stood still, as when we were paused."""


class Fenced(Exception):  # noqa: N818 (not an error of ours: someone else holds the run now)
    """The attempt no longer holds its run."""


class Lease:
    """While it is entered, the child it protects is killed once nobody confirmed the hold."""

    def __init__(self, claim: Claim, *, asked_at: float, moving: Watchdog) -> None:
        """`asked_at` is the monotonic time before the claim: the lease began later than that.

        `moving` is told of every beat, whether the database answered or not.
        """
        self._run_id, self._attempt, self._moving = claim.run_id, claim.attempt, moving
        self._beaten = self._looked = asked_at
        self._child: Child | None = None
        self._watchdog = Watchdog(
            self._kill_child,
            limit_seconds=settings.STUDIO_SELF_KILL_SECONDS,
            confirmed_at=asked_at,
        )
        self.is_cancelled = False
        """A person asked for the end of the run, when it was last looked."""

    def __enter__(self) -> Self:
        self._watchdog.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watchdog.__exit__(kind, error, trace)

    @property
    def has_killed(self) -> bool:
        """The child was killed because the lease could not be renewed."""
        return self._child is not None and self._watchdog.has_acted

    def protects(self, child: Child) -> None:
        """`child` will not outlive the lease."""
        self._child = child

    def beat(self) -> None:
        """The lease was renewed within the heartbeat, and a cancel request is known soon.

        Raises:
            Fenced: another attempt holds the run, or nobody confirmed that we do for too long.
        """
        now = time.monotonic()
        self._moving.confirm(now)
        try:
            if now - self._beaten >= settings.STUDIO_HEARTBEAT_SECONDS:
                self._beaten = now
                if not lifecycle.renew(self._run_id, self._attempt):
                    raise Fenced("another attempt holds the run")
                self._watchdog.confirm(now)
            if now - self._looked >= LOOK_SECONDS:
                self._looked = now
                self.is_cancelled = lifecycle.is_cancel_requested(self._run_id, self._attempt)
        except DATABASE_AWAY:
            logger.exception("run %s: the database does not answer", self._run_id)
            connection.close()
        if self._watchdog.is_overdue:
            raise Fenced("the lease could not be renewed")

    def store(self, write: Callable[[], bool]) -> None:
        """`write` has reached the database, however long that was away.

        Raises:
            Fenced: the attempt no longer holds its run.
            DatabaseError: the database answers, but not to this, and did not for several leases.
        """
        began = time.monotonic()
        while True:
            try:
                if not write():
                    raise Fenced("another attempt holds the run")
            except DATABASE_AWAY:
                if time.monotonic() - began > STORE_LEASES * settings.STUDIO_LEASE_SECONDS:
                    raise
                logger.exception("run %s: the database does not answer", self._run_id)
                connection.close()
                time.sleep(DATABASE_RETRY_SECONDS)
                self.beat()
            else:
                return

    def _kill_child(self) -> None:
        if self._child is not None:
            self._child.kill_group()

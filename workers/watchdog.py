"""Acts when too long nothing was confirmed, whatever the rest of the process hangs in.

A thread on the monotonic clock, which no administrator and no time server sets. It asks nothing of
the database, the broker or the file system, because those are what one hangs in.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

logger = logging.getLogger(__name__)

REPEAT_SECONDS = 0.5
HANG_EXIT_STATUS = 70
"""EX_SOFTWARE."""


class Watchdog:
    """Calls `act`, again and again, while the last confirmation is older than `limit_seconds`.

    `act` runs in a thread of its own, so it must not wait for what the caller may hang in.
    """

    def __init__(
        self, act: Callable[[], None], *, limit_seconds: float, confirmed_at: float | None = None
    ) -> None:
        self._act, self._limit = act, limit_seconds
        self._confirmed_at = time.monotonic() if confirmed_at is None else confirmed_at
        self.has_acted = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def confirm(self, at: float) -> None:
        """All was well at the monotonic time `at`: when the question was asked, not answered."""
        self._confirmed_at = at

    @property
    def is_overdue(self) -> bool:
        """Nothing was confirmed for longer than the limit."""
        return time.monotonic() - self._confirmed_at > self._limit

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        wait = 0.0
        while not self._stopped.wait(wait):
            left = self._confirmed_at + self._limit - time.monotonic()
            if left <= 0:
                self.has_acted = True
                self._act()
            wait = left if left > 0 else REPEAT_SECONDS


def leave() -> None:
    """This process ends at once; its slot's lock is free, and whoever started it starts another."""
    logger.critical("nothing moved for too long; this process ends and leaves its slot to another")
    os._exit(HANG_EXIT_STATUS)

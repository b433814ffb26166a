"""What a supervisor may do to a run: claim, renew, ingest, finish; and the reaper.

Every function after `claim` names the attempt it speaks for and returns False when that
attempt no longer holds the run: the caller is fenced and must stop its child. All times are the
database's. `docs/run_lifecycle.md` tells the whole story.
"""

from studio.runs.lifecycle.claims import (
    Claim,
    attempt_started,
    claim,
    claim_oldest,
    is_cancel_requested,
    renew,
)
from studio.runs.lifecycle.finish import finish_failed, finish_stopped, finish_succeeded
from studio.runs.lifecycle.ingest import attempt_warned, ingest_events
from studio.runs.lifecycle.losses import (
    active_owners,
    attempt_expired,
    attempt_lost,
    reap_expired,
    slot_abandon,
)
from studio.runs.lifecycle.presence import worker_seen

__all__ = [
    "Claim",
    "active_owners",
    "attempt_expired",
    "attempt_lost",
    "attempt_started",
    "attempt_warned",
    "claim",
    "claim_oldest",
    "finish_failed",
    "finish_stopped",
    "finish_succeeded",
    "ingest_events",
    "is_cancel_requested",
    "reap_expired",
    "renew",
    "slot_abandon",
    "worker_seen",
]

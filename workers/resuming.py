"""Which checkpoint a new attempt goes on from, and which it could not."""

import logging
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from pipeline.contracts.manifest import MANIFEST_NAME, Manifest, newest_verified_checkpoint
from pipeline.errors import TrainingError
from studio.runs.lifecycle import Claim
from studio.runs.paths import attempt_dir

logger = logging.getLogger(__name__)

SKIPPED = "train.checkpoint_skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Resumption:
    """Where an attempt starts."""

    checkpoint: Path | None
    """None: from the beginning."""
    damaged: tuple[str, ...]
    """Newer checkpoints that do not verify, each with what is wrong."""

    @property
    def relative(self) -> str:
        """The checkpoint as the database names it; empty without one."""
        if self.checkpoint is None:
            return ""
        return self.checkpoint.relative_to(settings.STUDIO_DATA_DIR).as_posix()

    @property
    def warning(self) -> str:
        """What a person should know; empty when nothing was skipped."""
        if not self.damaged:
            return ""
        start = f"from {self.relative}" if self.checkpoint else "from the beginning"
        return f"started {start}, because a newer checkpoint is damaged: " + "; ".join(self.damaged)


def find_resumption(claim: Claim) -> Resumption:
    """The newest whole checkpoint of an earlier attempt at the same spec."""
    damaged: list[str] = []

    def note(error: TrainingError) -> None:
        logger.warning("run %s attempt %d: %s", claim.run_id, claim.attempt, error)
        damaged.append(str(error).replace(f"{settings.STUDIO_DATA_DIR}/", ""))

    for run_id, attempt in claim.earlier_attempts:
        found = newest_verified_checkpoint(attempt_dir(run_id, attempt), on_damaged=note)
        if found is None:
            continue
        manifest = Manifest.parse((found / MANIFEST_NAME).read_bytes())
        # A step that a restarted plan resolved to other inputs has nothing to continue.
        if manifest.spec_digest == claim.spec_digest:
            return Resumption(checkpoint=found, damaged=tuple(damaged))
    return Resumption(checkpoint=None, damaged=tuple(damaged))

"""How a run reads: words for stages and events, progress, durations."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from studio.runs.disk import waiting_reason
from studio.runs.models import Run, RunEvent
from studio.runs.states import RunState

# Stages and units as the recipes report them; a stage of a curriculum has a person's own name.
_STAGE_LABELS: dict[str, Promise] = {
    "continual_pretrain": gettext_lazy("Continual pre-training"),
    "train": gettext_lazy("training"),
    "single_stage": gettext_lazy("single stage"),
    "weakly_relevant": gettext_lazy("weakly relevant"),
    "expert": gettext_lazy("expert"),
    "heldout": gettext_lazy("held-out loss"),
    "answers": gettext_lazy("answers"),
    "questions": gettext_lazy("questions"),
    "references": gettext_lazy("reference answers"),
    "gauge": gettext_lazy("gauge"),
    "acceptance": gettext_lazy("acceptance"),
    "probe": gettext_lazy("costs"),
    "bench": gettext_lazy("benchmark"),
    "sample": gettext_lazy("sampled answers"),
    "copy": gettext_lazy("copying"),
    "validate": gettext_lazy("checking"),
}
_UNIT_LABELS: dict[str, Promise] = {
    "tokens": gettext_lazy("tokens"),
    "answers": gettext_lazy("answers"),
    "questions": gettext_lazy("questions"),
    "references": gettext_lazy("reference answers"),
    "texts": gettext_lazy("texts"),
    "batches": gettext_lazy("batches"),
    "arms": gettext_lazy("arms"),
    "rows": gettext_lazy("rows"),
    "bytes": gettext_lazy("bytes"),
}
_STATE_REASONS: dict[str, Promise] = {
    RunState.WAITING: gettext_lazy("It starts when the steps before it have succeeded."),
    RunState.QUEUED: gettext_lazy("It starts when a worker of its queue is free."),
    RunState.RUNNING: gettext_lazy("A worker holds it and reports every few seconds."),
    RunState.CANCELLING: gettext_lazy("It saves a checkpoint and stops."),
    RunState.SUCCEEDED: gettext_lazy("Its report and outputs are complete."),
    RunState.FAILED: gettext_lazy("The error says why; what was saved is still there."),
    RunState.CANCELLED: gettext_lazy("It was stopped; what was saved is still there."),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far the current stage is; `percent` is None while the total is unknown."""

    stage: str
    amount: str
    percent: float | None
    time_left: str


def state_reason(run: Run) -> str:
    """Why the run is in its state, or what happens next."""
    return waiting_reason(run) or str(_STATE_REASONS[RunState(run.state)])


def run_progress(run: Run) -> Progress | None:
    """What the newest Progress event said; None before the first and after the end."""
    if run.is_terminal or run.progress_done is None:
        return None
    total = run.progress_total or 0
    unit = _UNIT_LABELS.get(run.progress_unit, run.progress_unit)
    return Progress(
        stage=str(_STAGE_LABELS.get(run.progress_stage, run.progress_stage)),
        amount=f"{run.progress_done:,.0f} / {total:,.0f} {unit}".strip(),
        percent=round(min(100.0, 100 * run.progress_done / total), 1) if total > 0 else None,
        time_left=(
            "" if run.progress_eta_seconds is None else duration_text(run.progress_eta_seconds)
        ),
    )


def run_duration(run: Run) -> str:
    """From the first start to the end, or to now; empty before the start."""
    return elapsed_text(run.started_at, run.finished_at)


def elapsed_text(start: datetime | None, end: datetime | None) -> str:
    """Time between two moments, the second of which may still be to come."""
    if start is None:
        return ""
    return duration_text(((end or timezone.now()) - start).total_seconds())


def duration_text(seconds: float) -> str:
    """Two units at most: 45 s, 3 min 20 s, 2 h 05 min, 3 d 4 h."""
    whole = max(0, round(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 60:
        return _("%(seconds)d s") % {"seconds": whole}
    if whole < 3600:
        return _("%(minutes)d min %(seconds)02d s") % {"minutes": minutes, "seconds": whole % 60}
    if whole < 86400:
        return _("%(hours)d h %(minutes)02d min") % {"hours": hours, "minutes": minutes % 60}
    return _("%(days)d d %(hours)d h") % {"days": days, "hours": hours % 24}


def event_text(event: RunEvent) -> str:
    """One line about an event, from its payload."""
    payload = event.payload
    match event.kind:
        case "RunStarted" if payload.get("resumed_from"):
            return _("Attempt %(attempt)d started from a checkpoint") % {"attempt": event.attempt}
        case "RunStarted":
            return _("Attempt %(attempt)d started") % {"attempt": event.attempt}
        case "CheckpointSaved":
            return _("Checkpoint saved at step %(step)s") % {"step": payload.get("step")}
        case "ArtifactWritten":
            return _("Output %(output)s written") % {"output": payload.get("output")}
        case "Warning":
            return _("Warning %(code)s: %(message)s") % {
                "code": payload.get("code"),
                "message": payload.get("message"),
            }
        case "RunSucceeded":
            return _("Finished with a report")
        case "RunStopped":
            return _("Stopped: %(message)s") % {"message": payload.get("message")}
        case "RunFailed":
            return _("Failed with %(code)s: %(message)s") % {
                "code": payload.get("code"),
                "message": payload.get("message"),
            }
    return event.kind

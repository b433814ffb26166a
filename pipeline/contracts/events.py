"""What a run says while it works: one JSON object a line in `events.jsonl`.

Events are data for the product (progress bars, curves, lineage); logs are for operators. A run ends
with exactly one terminal event. Consumers identify an event by (run_id, attempt, seq).
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from pipeline.contracts.base import Contract


class RunStarted(Contract):
    """The attempt began; `resumed_from` names the checkpoint it continues."""

    kind: Literal["RunStarted"] = "RunStarted"
    spec_kind: str
    spec_digest: str
    resumed_from: str | None = None


class Progress(Contract):
    """How far a stage is. `eta_seconds` is for the stage and None until a rate is known."""

    kind: Literal["Progress"] = "Progress"
    stage: str
    done: float
    total: float
    unit: str
    eta_seconds: float | None = None


class MetricsLogged(Contract):
    """Figures at an optimizer step (or None outside training)."""

    kind: Literal["MetricsLogged"] = "MetricsLogged"
    step: int | None
    metrics: dict[str, float]


class CheckpointSaved(Contract):
    """A resumable checkpoint is complete; `path` is relative to the run directory."""

    kind: Literal["CheckpointSaved"] = "CheckpointSaved"
    step: int
    path: str
    manifest_sha256: str


class ArtifactWritten(Contract):
    """An output that later steps may name; `path` is relative to the run directory."""

    kind: Literal["ArtifactWritten"] = "ArtifactWritten"
    output: str
    path: str


class RunWarning(Contract):
    """Something a person should know that does not stop the run."""

    kind: Literal["Warning"] = "Warning"
    code: str
    message: str


class RunSucceeded(Contract):
    """Terminal: `report.json` is complete."""

    kind: Literal["RunSucceeded"] = "RunSucceeded"
    report: str = "report.json"


class RunStopped(Contract):
    """Terminal: stopped on request at a checkpoint; the run can be resumed (exit status 75)."""

    kind: Literal["RunStopped"] = "RunStopped"
    message: str


class RunFailed(Contract):
    """Terminal: the run cannot go on."""

    kind: Literal["RunFailed"] = "RunFailed"
    code: str
    message: str
    retryable: bool


Payload = Annotated[
    RunStarted
    | Progress
    | MetricsLogged
    | CheckpointSaved
    | ArtifactWritten
    | RunWarning
    | RunSucceeded
    | RunStopped
    | RunFailed,
    Field(discriminator="kind"),
]


class Event(Contract):
    """One line of `events.jsonl`."""

    v: Literal[1] = 1
    run_id: str
    attempt: int = Field(ge=1)
    seq: int = Field(ge=1)
    at: str
    """UTC, ISO 8601 with milliseconds."""
    kind: str
    payload: Payload


_ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)


def parse_event(line: str | bytes) -> Event:
    """The event on one line.

    Raises:
        pydantic.ValidationError: the line is not an event (a torn last line, for one).
    """
    return _ADAPTER.validate_json(line)

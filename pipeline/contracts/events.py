"""What a run says while it works: one JSON object a line in `events.jsonl`.

Events are data for the product (progress bars, curves, lineage); logs are for operators. A run ends
with exactly one terminal event. Consumers identify an event by (run_id, attempt, seq).
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, TypeAdapter

from pipeline.contracts.base import Contract
from pipeline.contracts.storable import storable_text

MAX_LINE_BYTES = 1 << 17
"""Longest line of `events.jsonl`. Writers refuse a longer one, readers skip it."""
MAX_WORD_CHARS = 200
MAX_SEQ = 2**31 - 1


def _word(value: object) -> object:
    return storable_text(value, max_chars=MAX_WORD_CHARS) if isinstance(value, str) else value


def _text(value: object) -> object:
    return storable_text(value) if isinstance(value, str) else value


Word = Annotated[str, BeforeValidator(_word)]
"""A code, a unit, a name: cut where it is too long."""
Text = Annotated[str, BeforeValidator(_text)]
"""What an exception or a library said; whatever it holds can be stored."""


class RunStarted(Contract):
    """The attempt began; `resumed_from` names the checkpoint it continues."""

    kind: Literal["RunStarted"] = "RunStarted"
    spec_kind: str
    spec_digest: str
    resumed_from: Text | None = None


class Progress(Contract):
    """How far a stage is. `eta_seconds` is for the stage and None until a rate is known."""

    kind: Literal["Progress"] = "Progress"
    stage: Word
    done: float
    total: float
    unit: Word
    eta_seconds: float | None = None


class MetricsLogged(Contract):
    """Figures at an optimizer step (or None outside training)."""

    kind: Literal["MetricsLogged"] = "MetricsLogged"
    step: int | None
    metrics: dict[Word, float]


class CheckpointSaved(Contract):
    """A resumable checkpoint is complete; `path` is relative to the run directory."""

    kind: Literal["CheckpointSaved"] = "CheckpointSaved"
    step: int
    path: Text
    manifest_sha256: str


class ArtifactWritten(Contract):
    """An output that later steps may name; `path` is relative to the run directory."""

    kind: Literal["ArtifactWritten"] = "ArtifactWritten"
    output: Word
    path: Text


class RunWarning(Contract):
    """Something a person should know that does not stop the run."""

    kind: Literal["Warning"] = "Warning"
    code: Word
    message: Text


class RunSucceeded(Contract):
    """Terminal: `report.json` is complete."""

    kind: Literal["RunSucceeded"] = "RunSucceeded"
    report: str = "report.json"


class RunStopped(Contract):
    """Terminal: stopped on request at a checkpoint; the run can be resumed (exit status 75)."""

    kind: Literal["RunStopped"] = "RunStopped"
    message: Text


class RunFailed(Contract):
    """Terminal: the run cannot go on."""

    kind: Literal["RunFailed"] = "RunFailed"
    code: Word
    message: Text
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
    seq: int = Field(ge=1, le=MAX_SEQ)
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

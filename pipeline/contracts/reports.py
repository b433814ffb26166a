"""What a run leaves behind: `report.json`.

Every figure sits under `metrics` beside its count and interval; `outputs` names what later steps
may use. The plan's gates, the platform and the HTML report read it.
"""

from typing import Any, Literal

from pydantic import Field

from pipeline.contracts.base import Contract
from pipeline.contracts.references import Sha256


class Environment(Contract):
    """Where the figures were measured."""

    python: str
    packages: dict[str, str]
    platform: str
    processor: str
    num_threads: int
    device: str
    dtype: str


class Output(Contract):
    """A file or directory of the run directory that later steps may name."""

    path: str
    """Relative to the run directory."""
    digest: Sha256 | None = None
    facts: dict[str, Any] | None = None
    """Of an output `model`: `pipeline.modeling.inspection.ModelFacts`, without its path."""


class IntervalReport(Contract):
    """An estimate with its confidence interval."""

    value: float
    low: float
    high: float
    level: float = 0.95
    n: int


class Report(Contract):
    """The results of one run; the kind's recipe documents the keys of `metrics`."""

    v: Literal[1] = 1
    kind: str
    spec_digest: Sha256
    code_version: str
    """Git commit of the code where known, with `+dirty` for uncommitted changes."""
    started_at: str
    seconds: float = Field(ge=0)
    environment: Environment
    inputs: dict[str, str] = Field(default_factory=dict)
    """Digest of each file or model the run read, by dotted path of the spec."""
    outputs: dict[str, Output] = Field(default_factory=dict)
    metrics: dict[str, Any] = Field(default_factory=dict)
    definitions: dict[str, str] = Field(default_factory=dict)
    """Name and version of the definition behind each family of figures."""

"""What a run leaves behind: `report.json`.

`results` holds the kind's figures beside their counts and intervals; `outputs` names what later
steps may use. The plan's gates, the platform and the HTML report read it.
"""

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import Field, JsonValue, field_validator

from pipeline.contracts.base import Contract
from pipeline.contracts.references import Sha256
from pipeline.contracts.report_upgrade import upgrade_report
from pipeline.contracts.results import Results
from pipeline.errors import SpecError


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
    facts: dict[str, JsonValue] | None = None
    """Of an output `model`: `pipeline.modeling.inspection.ModelFacts`, without its path."""

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        if str(PurePosixPath(path)) != path or path == "." or path.startswith("/"):
            raise ValueError("give a relative path in its shortest spelling")
        if ".." in PurePosixPath(path).parts or "\0" in path:
            raise ValueError("an output stays in the run directory")
        return path


class Report(Contract):
    """The results of one run, and where they come from."""

    v: Literal[2] = 2
    spec_digest: Sha256
    code_version: str
    """Git commit of the code where known, with `+dirty` for uncommitted changes."""
    started_at: str
    seconds: float = Field(ge=0)
    environment: Environment
    inputs: dict[str, str] = Field(default_factory=dict)
    """Digest of each file or model the run read, by dotted path of the spec."""
    outputs: dict[str, Output] = Field(default_factory=dict)
    results: Results = Field(discriminator="kind")
    definitions: dict[str, str] = Field(default_factory=dict)
    """Name and version of the definition behind each family of figures."""

    @property
    def kind(self) -> str:
        """The kind of the run."""
        return self.results.kind


def parse_report(document: str | bytes) -> Report:
    """The report written in a JSON document of this or an earlier version.

    Raises:
        SpecError: `spec.invalid`, one line for each problem, with its dotted path.
    """
    try:
        written = json.loads(document)
    except ValueError:
        written = None  # the contract says what is wrong with the text
    return stored_report(written) if isinstance(written, dict) else Report.parse(document)


def stored_report(document: Mapping[str, Any]) -> Report:
    """The report that a database holds as JSON, of this or an earlier version.

    Raises:
        SpecError: as `parse_report`.
    """
    try:
        upgraded = upgrade_report(document)
    except (KeyError, TypeError, AttributeError) as exc:
        raise SpecError(
            "spec.invalid", f"the report is damaged: version 1 has no place for {exc}"
        ) from exc
    return Report.parse(json.dumps(upgraded))

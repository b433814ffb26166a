"""What may be asked for: a run of one kind, or a plan of runs; read from JSON.

A spec is complete: with the files it names and the code version it determines the result. It holds
no attempt number, no resume path and no output directory; those belong to the execution.
"""

import json
from typing import Annotated, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from pipeline.contracts.base import UNION_TAGS, Contract, SpecBase, describe_validation_error
from pipeline.contracts.kinds import RUN_KINDS, RunSpec
from pipeline.contracts.references import StepId
from pipeline.contracts.storable import unstorable_texts
from pipeline.contracts.upgrades import upgrade_spec
from pipeline.errors import SpecError


class Gate(Contract):
    """A condition on a step's report; a plan stops where it does not hold."""

    metric: str = Field(min_length=1)
    """Dotted path into the step's `report.json`, such as `results.losslessness.is_lossless`."""
    operator: Literal["equal", "not_equal", "at_least", "at_most"]
    value: bool | int | float | str


class PlanStep(Contract):
    """One run of a plan and what must come before it."""

    id: StepId
    spec: Annotated[RunSpec, Field(discriminator="kind")]
    needs: tuple[StepId, ...] = ()
    """Steps that must have succeeded, besides those its references name."""
    gates: tuple[Gate, ...] = ()


class PlanSpec(SpecBase):
    """Steps with dependencies and gates, executed in an order that respects both."""

    kind: Literal["plan"] = "plan"
    steps: tuple[PlanStep, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ids_are_unique(self) -> "PlanSpec":
        ids = [step.id for step in self.steps]
        repeated = sorted({step_id for step_id in ids if ids.count(step_id) > 1})
        if repeated:
            raise ValueError(f"steps: ids used twice: {', '.join(repeated)}")
        return self


AnySpec = RunSpec | PlanSpec

_ADAPTER: TypeAdapter[AnySpec] = TypeAdapter(Annotated[AnySpec, Field(discriminator="kind")])
_RUN_ADAPTER: TypeAdapter[RunSpec] = TypeAdapter(Annotated[RunSpec, Field(discriminator="kind")])
UNION_TAGS.update((*RUN_KINDS, "plan"))
SpecT = TypeVar("SpecT")


def parse_spec(document: str | bytes) -> AnySpec:
    """The spec written in a JSON document, in this or an earlier version of its kind.

    Raises:
        SpecError: `spec.invalid` with one line for each problem.
    """
    return _parse(_ADAPTER, document)


def parse_run_spec(document: str | bytes) -> RunSpec:
    """The spec of one run; a plan is refused.

    Raises:
        SpecError: `spec.invalid` with one line for each problem.
    """
    return _parse(_RUN_ADAPTER, document)


def spec_schema() -> dict[str, object]:
    """JSON Schema of every document `parse_spec` accepts."""
    return _ADAPTER.json_schema()


def _parse(adapter: TypeAdapter[SpecT], document: str | bytes) -> SpecT:
    try:
        written = json.loads(document)
        unstorable = next(unstorable_texts(written), None)
    except (ValueError, RecursionError):
        written = unstorable = None  # the adapter says what is wrong with it
    if unstorable is not None:
        raise SpecError(
            "spec.invalid",
            f"{unstorable}: a text holds a NUL or half of a surrogate pair; remove it",
        )
    if isinstance(written, dict) and (upgraded := upgrade_spec(written)) != written:
        document = json.dumps(upgraded)
    try:
        return adapter.validate_json(document)
    except ValidationError as exc:
        raise SpecError("spec.invalid", describe_validation_error(exc)) from exc

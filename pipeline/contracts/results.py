"""What each kind of run found: one frozen model a kind, named by the spec's `kind`.

A recipe returns one, `report.json` holds it, and gates, pages and the demonstration read it.
"""

from typing import Literal, get_args

from pipeline.contracts.base import Contract
from pipeline.contracts.decoding_results import SpeculativeDecodeResults
from pipeline.contracts.evaluation_results import EvaluateResults
from pipeline.contracts.import_results import ImportCheckpointResults, ImportDatasetResults
from pipeline.contracts.training_results import (
    ContinualPretrainResults,
    CurriculumSftResults,
    LogitDistillResults,
)


class StepOutcome(Contract):
    """A finished step of a plan."""

    kind: str
    seconds: float
    kept: bool
    """It had finished in an earlier start of the plan."""


class PlanResults(Contract):
    """Every step of a plan that ran as one program."""

    kind: Literal["plan"] = "plan"
    steps: dict[str, StepOutcome]


RunResults = (
    ContinualPretrainResults
    | CurriculumSftResults
    | LogitDistillResults
    | SpeculativeDecodeResults
    | EvaluateResults
    | ImportDatasetResults
    | ImportCheckpointResults
)
Results = RunResults | PlanResults
RESULT_KINDS = tuple(model.model_fields["kind"].default for model in get_args(RunResults))


def value_at(results: Contract, dotted: str) -> object:
    """The value at a dotted path of results, or None where the path ends early.

    Attributes of models and keys of mappings are steps of the path; positions in lists are not.
    """
    value: object = results
    for part in dotted.split("."):
        if isinstance(value, Contract):
            value = getattr(value, part, None) if part in type(value).model_fields else None
        elif isinstance(value, dict):
            value = value.get(part)
        else:
            return None
    return value

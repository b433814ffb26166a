"""What a run or a plan found: one frozen model a kind (`contracts.kinds`).

A recipe returns one, `report.json` holds it, and gates, pages and the demonstration read it.
"""

from typing import Literal

from pipeline.contracts.base import Contract
from pipeline.contracts.kinds import RunResults


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


Results = RunResults | PlanResults


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

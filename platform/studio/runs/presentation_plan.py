"""A plan as a table of steps."""

from collections.abc import Iterable
from dataclasses import dataclass

from studio.runs.models import Plan, Run
from studio.runs.presentation_list import RunRow, run_row

_OPERATORS = {
    "equal": "=",
    "not_equal": "\N{NOT EQUAL TO}",
    "at_least": "\N{GREATER-THAN OR EQUAL TO}",
}
_OPERATORS["at_most"] = "\N{LESS-THAN OR EQUAL TO}"


@dataclass(frozen=True, kw_only=True, slots=True)
class StepRow:
    """The newest run of a step, what it waits for and what its report must show."""

    id: str
    row: RunRow
    needs: tuple[str, ...]
    gates: tuple[str, ...]


def plan_steps(plan: Plan, runs: Iterable[Run]) -> list[StepRow]:
    """Steps in the order in which the plan writes them; `runs` are its current steps."""
    by_step = {run.step_id: run for run in runs}
    return [
        StepRow(
            id=step["id"],
            row=run_row(by_step[step["id"]]),
            needs=tuple(by_step[step["id"]].needs),
            gates=tuple(
                f"{gate['metric']} {_OPERATORS[gate['operator']]} {gate['value']}"
                for gate in step.get("gates", ())
            ),
        )
        for step in plan.spec["steps"]
        if step["id"] in by_step
    ]

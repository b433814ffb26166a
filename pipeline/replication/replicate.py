"""Runs the plan of some parts, as often as it grows, and says what they found."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pipeline.contracts.specs import PlanSpec
from pipeline.replication.arms import Setting
from pipeline.replication.parts import Part, PartKey
from pipeline.replication.plan import build_plan
from pipeline.replication.rates import with_chosen_rates
from pipeline.replication.results import PartResults
from pipeline.replication.summary import summarize_part

RunPlan = Callable[[PlanSpec, Path], int]
"""Executes a plan in a run directory and returns its exit status; finished steps are kept."""


def replicate(
    parts: Sequence[Part], setting: Setting, plan_dir: Path, run_plan: RunPlan
) -> tuple[int, Mapping[PartKey, PartResults]]:
    """The exit status, and what every part found that is finished.

    Args:
        parts: of the setting's language.
        setting: data, base and budget.
        plan_dir: holds the steps of all parts of one language.
        run_plan: executes the plan.
    """
    growing, grown = tuple(parts), False
    while not grown:
        status = run_plan(build_plan(growing, setting), plan_dir)
        # Arms at the rates that were chosen by what has just been run.
        known, growing = growing, tuple(with_chosen_rates(part, plan_dir) for part in growing)
        grown = status != 0 or growing == known
    found = {part.key: summarize_part(part, setting, plan_dir) for part in growing}
    return status, {key: results for key, results in found.items() if results is not None}

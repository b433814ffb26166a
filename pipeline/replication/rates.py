"""The learning rate of each arm of fine-tuning, chosen on the development questions."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.contracts.evaluation_results import EvaluateResults
from pipeline.contracts.samples import MEASURES
from pipeline.demo.plan import FineTuningArm
from pipeline.replication.arms import FINE_TUNINGS, RATES, selection_key
from pipeline.replication.parts import Part, evaluation_step, tuned_part
from pipeline.replication.plan import report_of

SELECTED_BY = "reference_bits_per_byte"
"""Measure of the development questions."""


def with_chosen_rates(part: Part, plan_dir: Path) -> Part:
    """The part with the arms at the rates that its finished steps chose; any other as it is."""
    if part.key != "learning_rate":
        return part
    evaluations: dict[str, EvaluateResults] = {}
    for method in FINE_TUNINGS:
        for rate in RATES:
            key = selection_key(method, rate)
            report = report_of(plan_dir, evaluation_step(key, 0))
            if report is None or not isinstance(report.results, EvaluateResults):
                return part
            evaluations[key] = report.results
    return tuned_part({method: chosen_rate(evaluations, method) for method in FINE_TUNINGS})


def development_figures(
    evaluations: Mapping[str, EvaluateResults], method: FineTuningArm
) -> dict[str, float]:
    """The figure of an arm at each rate, by the rate's name.

    Args:
        evaluations: by key of the arm.
        method: the arm of fine-tuning.
    """
    found = {}
    for rate in RATES:
        overlap = evaluations[selection_key(method, rate)].text_overlap
        if overlap is None:
            raise TypeError("the evaluation asked no development questions")
        found[rate] = overlap.figures[SELECTED_BY]
    return found


def chosen_rate(evaluations: Mapping[str, EvaluateResults], method: FineTuningArm) -> str:
    """The name of the rate with the best figure; of equal ones the lowest rate."""
    figures = development_figures(evaluations, method)
    (measure,) = (one for one in MEASURES if one.key == SELECTED_BY)
    best = min if measure.direction == "lower" else max
    return best(figures, key=figures.__getitem__)

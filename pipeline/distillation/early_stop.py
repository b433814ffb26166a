"""The draft of a training that promises the highest speed on answers held back for choosing."""

from collections.abc import Sequence

from transformers import PreTrainedModel

from pipeline.contracts.distillation_spec import EarlyStop
from pipeline.contracts.training_results import DraftMeasurement, EarlyStopFigures
from pipeline.distillation.acceptance import simulated_speedup
from pipeline.distillation.agreement import acceptance_flags
from pipeline.distillation.cache import TeacherAnswer
from pipeline.distillation.output_layer import OutputLayer
from pipeline.training.selection import Selection


def choose_by_speedup(
    settings: EarlyStop,
    answers: Sequence[TeacherAnswer],
    output: OutputLayer,
    temperature: float,
) -> Selection:
    """A selection by the simulated speedup on `answers`, which were decoded at `temperature`."""

    def measure(model: PreTrainedModel) -> float:
        return simulated_speedup(acceptance_flags(model, answers, output, temperature), settings)

    return Selection(
        "simulated_speedup",
        measure,
        every_steps=settings.every_steps,
        patience=settings.patience,
    )


def early_stop_figures(selection: Selection, answers: Sequence[TeacherAnswer]) -> EarlyStopFigures:
    """What was measured, and which draft was kept."""
    step, best = selection.best
    return EarlyStopFigures(
        n=len(answers),
        tokens=sum(len(answer.answer_ids) for answer in answers),
        step=step,
        simulated_speedup=best,
        measured=tuple(
            DraftMeasurement(step=step, simulated_speedup=figure)
            for step, figure in selection.history
        ),
    )

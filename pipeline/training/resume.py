"""Going on where a checkpoint stopped: only with the same spec, data and tokenizer."""

from collections.abc import Sequence
from typing import Any

from pipeline.errors import TrainingError
from pipeline.execution import RunContext
from pipeline.training.checkpoint import TrainingState, load_training_state, numeric_versions
from pipeline.training.phases import Phase, PhaseFigures


def resume_state(context: RunContext) -> TrainingState | None:
    """The state to go on from, or None for a fresh start. The model lies in the same directory.

    Raises:
        TrainingError: as `load_training_state`.
    """
    if context.resume_from is None:
        return None
    return load_training_state(context.resume_from, spec_digest=context.spec_digest)


def restored_figures(
    state: TrainingState, phases: Sequence[Phase[Any]], context: RunContext
) -> list[PhaseFigures]:
    """What each phase had done when `state` was saved; warns where the last bits may differ.

    Raises:
        TrainingError: `train.resume_mismatch` when the data are not those of the checkpoint.
    """
    figures = [PhaseFigures(**item) for item in state.progress["phases"]]
    cursors = [
        phase.batches.cursor(item.num_steps) for phase, item in zip(phases, figures, strict=True)
    ]
    if cursors != state.progress["cursors"]:
        raise TrainingError(
            "train.resume_mismatch",
            "the data or the tokenizer differ from those the checkpoint was trained on "
            f"(cursor {cursors!r}, saved {state.progress['cursors']!r}); start a new run",
        )
    differing = {
        name: (saved, numeric_versions().get(name))
        for name, saved in state.versions.items()
        if saved != numeric_versions().get(name)
    }
    if differing:
        context.warn(
            "train.environment_differs",
            f"resumed with other versions than the checkpoint's {differing}; the last bits of "
            "the weights may differ from an undisturbed run",
        )
    return figures

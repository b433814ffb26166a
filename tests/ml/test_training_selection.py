"""Which weights a training keeps, and when it ends."""

import pytest
import torch
from torch import nn

from pipeline.training.selection import Selection


class Scripted(nn.Module):
    """A model with one weight, the number of steps it has taken."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.Parameter(torch.zeros(()))


def trained(figures: list[float], *, every: int = 1, patience: int = 3, start: int = 0):
    """(model, selection) after steps that would measure as `figures`, until it is over."""
    selection = Selection(
        "figure",
        lambda model: figures[int(model.steps) - 1],
        every_steps=every,
        patience=patience,
    )
    model = Scripted().train()
    go_on(model, selection, figures, start)
    return model, selection


def go_on(model: Scripted, selection: Selection, figures: list[float], start: int = 0) -> None:
    for step in range(start + 1, len(figures) + 1):
        with torch.no_grad():
            model.steps.fill_(step)
        selection.after_step(model, step, is_last=step == len(figures))
        assert model.training
        if selection.is_over:
            return


@pytest.mark.parametrize(
    ("figures", "every", "patience", "best", "ended"),
    [
        ([1.0, 3.0, 2.0, 2.0, 2.0, 9.0], 1, 3, 2, 5),
        ([1.0, 3.0, 2.0, 4.0, 2.0, 9.0], 1, 3, 6, 6),
        ([2.0, 2.0, 2.0], 1, 9, 1, 3),  # of equal ones the earlier
        ([9.0, 1.0, 9.0, 2.0, 5.0], 2, 9, 5, 5),  # every second, and the last
        ([9.0], 4, 1, 1, 1),
    ],
)
def test_the_best_measurement_is_kept(figures, every, patience, best, ended) -> None:
    model, selection = trained(figures, every=every, patience=patience)
    assert model.steps.item() == ended
    assert selection.best == (best, figures[best - 1])
    selection.take_best(model)
    assert model.steps.item() == best


@pytest.mark.parametrize("killed_after", range(1, 7))
def test_it_goes_on_as_if_it_had_never_stopped(killed_after: int) -> None:
    figures = [1.0, 3.0, 2.0, 2.5, 3.5, 2.0, 1.0, 1.0, 1.0]
    _, undisturbed = trained(figures)
    model, killed = trained(figures[:killed_after])
    # A checkpoint in the middle holds no measurement that only the last step has.
    resumed = Selection(
        "figure", lambda one: figures[int(one.steps) - 1], every_steps=1, patience=3
    )
    tensors = {"steps/exp_avg": torch.ones(()), **killed.tensors()}
    resumed.restore(killed.progress(), tensors)
    go_on(model, resumed, figures, killed_after)
    assert resumed.history == undisturbed.history
    assert resumed.tensors().keys() == {"steps/best"}
    resumed.take_best(model)
    assert model.steps.item() == undisturbed.best[0] == 5


def test_a_finished_runs_own_weights_are_left() -> None:
    _, finished = trained([1.0, 2.0, 1.0])
    resumed = Selection("figure", lambda _: 0.0, every_steps=1, patience=3)
    resumed.restore(finished.progress(), {})
    model = Scripted()
    resumed.take_best(model)
    assert (model.steps.item(), resumed.best) == (0.0, (2, 2.0))

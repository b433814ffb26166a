"""The weights that measured best, and the end of a training that gets no better.

What is kept is part of every checkpoint, so a run that is killed and resumed chooses the same step
and ends with the same bits as one that was not.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from transformers import PreTrainedModel

BEST_NAME = "best"
"""Weights are kept as `<parameter>/best`, beside the optimizer's `<parameter>/<state name>`."""


class Selection:
    """Measures a model while it trains and keeps the best weights.

    Args:
        name: what the figure is called in the run's metrics.
        measure: a figure of the model in eval mode that depends on its weights alone; higher is
            better, and of equal ones the earlier is kept.
        every_steps: optimizer steps between measurements; the last step is measured in any case.
        patience: measurements without a better one after which training ends.
    """

    def __init__(
        self,
        name: str,
        measure: Callable[[PreTrainedModel], float],
        *,
        every_steps: int,
        patience: int,
    ) -> None:
        self.name = name
        self._measure = measure
        self._every_steps = every_steps
        self._patience = patience
        self._weights: dict[str, torch.Tensor] = {}
        self.history: list[tuple[int, float]] = []
        """(step, figure) of each measurement."""

    @property
    def best(self) -> tuple[int, float]:
        """(step, figure) of the best measurement; there is one."""
        return max(self.history, key=lambda one: (one[1], -one[0]))

    @property
    def is_over(self) -> bool:
        """The last `patience` measurements brought nothing better."""
        if not self.history:
            return False
        return len(self.history) - 1 - self.history.index(self.best) >= self._patience

    def after_step(self, model: PreTrainedModel, step: int, *, is_last: bool) -> float | None:
        """The figure after `step` steps, or None where it is not due."""
        if step % self._every_steps and not is_last:
            return None
        was_training = model.training
        model.eval()
        with torch.no_grad():
            figure = self._measure(model)
        model.train(was_training)
        self.history.append((step, figure))
        if self.best[0] == step:
            self._weights = {
                name: parameter.detach().clone() for name, parameter in model.named_parameters()
            }
        return figure

    def take_best(self, model: PreTrainedModel) -> None:
        """`model` has the best weights. Nothing is kept where they are its own already: a finished
        run's checkpoint holds them and no others.
        """
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in self._weights:
                    parameter.copy_(self._weights[name])

    def tensors(self) -> dict[str, torch.Tensor]:
        """What a checkpoint keeps beside the optimizer's state."""
        return {f"{name}/{BEST_NAME}": weight for name, weight in self._weights.items()}

    def progress(self) -> dict[str, Any]:
        """What a checkpoint keeps as JSON."""
        return {"history": [list(one) for one in self.history]}

    def restore(self, progress: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
        """It goes on where the checkpoint with these was saved."""
        self.history = [(int(step), float(figure)) for step, figure in progress["history"]]
        self._weights = {
            name.removesuffix(f"/{BEST_NAME}"): weight
            for name, weight in tensors.items()
            if name.endswith(f"/{BEST_NAME}")
        }

"""AdamW, its parameter groups, and its state by parameter name."""

import torch
from torch import nn

from pipeline.contracts.training_specs import OptimizerSettings
from pipeline.errors import TrainingError


def build_optimizer(model: nn.Module, settings: OptimizerSettings) -> torch.optim.AdamW:
    """A fresh AdamW over the trainable parameters; the loop sets its learning rate each step.

    Weight decay acts on matrices only. Norms and biases are scales and offsets, which decay would
    pull towards a meaningless zero. Embeddings are left out because a row whose token does not
    occur gets no gradient, only decay: rare tokens would fade during a domain's training.
    """
    embeddings = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, nn.Embedding)
        for parameter in module.parameters(recurse=False)
    }
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for parameter in _trainable(model).values():
        is_decayed = parameter.ndim >= 2 and id(parameter) not in embeddings
        (decayed if is_decayed else kept).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        fused=True,
    )


def optimizer_tensors(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, torch.Tensor]:
    """The optimizer's state as `<parameter name>/<state name>` -> tensor."""
    return {
        f"{name}/{key}": value
        for name, parameter in _trainable(model).items()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def restore_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]
) -> None:
    """The optimizer has the saved state of every parameter.

    Raises:
        TrainingError: `train.resume_mismatch` when the saved parameters are not the model's.
    """
    names = {id(parameter): name for name, parameter in _trainable(model).items()}
    saved: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        name, _, state_name = key.rpartition("/")
        saved.setdefault(name, {})[state_name] = tensor
    if saved.keys() != set(names.values()):
        differing = sorted(saved.keys() ^ set(names.values()))
        raise TrainingError(
            "train.resume_mismatch",
            f"the checkpoint's optimizer and the model differ in {len(differing)} parameters, "
            f"such as {differing[0]!r}; resume with the code and spec that wrote it",
        )
    ordered = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    optimizer.load_state_dict(
        {
            "state": {i: saved[names[id(parameter)]] for i, parameter in enumerate(ordered)},
            "param_groups": optimizer.state_dict()["param_groups"],
        }
    )


def _trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}

"""Cross-entropy of a causal model without the logits of a whole batch.

At a vocabulary of 49,152, one packed row of 512 tokens has 96 MiB of float32 logits and as much for
their gradient; at 152k and 8,192 tokens it is 4.6 GiB each. So the body of the model runs once, and
the LM head runs over chunks of the positions that have a label: nothing is computed for the rest
(prompts in fine-tuning).
"""

from typing import Any

import torch
from torch.autograd.function import once_differentiable
from transformers import PreTrainedModel

from pipeline.data.tokenize import IGNORED_LABEL
from pipeline.errors import ModelError
from pipeline.training.batches import PackedBatch

CHUNK_TOKENS = 128
"""Positions whose logits exist at one time: 25 MiB at a vocabulary of 49,152."""
HEAD_TOLERANCE = 1e-3


class _LinearCrossEntropy(torch.autograd.Function):
    """sum(cross_entropy(hidden @ weight.T, labels)), chunk by chunk.

    The gradients are computed in the forward pass, while a chunk's logits exist: three matrix
    products instead of the four of recomputation under `torch.utils.checkpoint`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: torch.Tensor,
        weight_VD: torch.Tensor,
        labels_N: torch.Tensor,
        chunk_tokens: int,
        compute_dtype: torch.dtype,
    ) -> torch.Tensor:
        wants_hidden, wants_weight = ctx.needs_input_grad[:2]
        loss_dtype = torch.promote_types(compute_dtype, torch.float32)
        loss = torch.zeros((), dtype=loss_dtype, device=hidden_ND.device)
        grad_hidden_ND = torch.empty_like(hidden_ND) if wants_hidden else None
        grad_weight_VD = torch.zeros_like(weight_VD) if wants_weight else None
        weight = weight_VD.to(compute_dtype)
        for start in range(0, len(labels_N), chunk_tokens):
            part = slice(start, start + chunk_tokens)
            hidden_CD, labels_C = hidden_ND[part].to(compute_dtype), labels_N[part]
            logits_CV = (hidden_CD @ weight.T).to(loss_dtype)
            log_normaliser_C = torch.logsumexp(logits_CV, dim=-1)
            loss += (log_normaliser_C - logits_CV.gather(1, labels_C[:, None])[:, 0]).sum()
            if not (wants_hidden or wants_weight):
                continue
            # d loss / d logits = softmax - one-hot, written over the logits.
            gradient_CV = logits_CV.sub_(log_normaliser_C[:, None]).exp_()
            gradient_CV[torch.arange(len(labels_C), device=labels_C.device), labels_C] -= 1.0
            gradient_CV = gradient_CV.to(compute_dtype)
            if grad_hidden_ND is not None:
                grad_hidden_ND[part] = gradient_CV @ weight
            if grad_weight_VD is not None and compute_dtype == weight_VD.dtype:
                grad_weight_VD.addmm_(gradient_CV.T, hidden_CD)
            elif grad_weight_VD is not None:
                grad_weight_VD += gradient_CV.T @ hidden_CD
        ctx.save_for_backward(grad_hidden_ND, grad_weight_VD)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        scaled = (
            None if gradient is None else gradient * grad_loss.to(gradient.dtype)
            for gradient in ctx.saved_tensors
        )
        return (*scaled, None, None, None)


def linear_cross_entropy(
    hidden_ND: torch.Tensor,
    weight_VD: torch.Tensor,
    labels_N: torch.Tensor,
    *,
    chunk_tokens: int = CHUNK_TOKENS,
) -> torch.Tensor:
    """Sum over N of the cross-entropy of `hidden @ weight.T` to `labels`, in nats.

    Computes in the autocast type where one is set and sums in float32 (float64 for float64
    inputs). Never holds more than `chunk_tokens` x V logits.

    Args:
        hidden_ND: final hidden states, after the last norm.
        weight_VD: weight of the LM head.
        labels_N: token ids, all of them valid (no ignored label).
    """
    device_type = hidden_ND.device.type
    compute_dtype = weight_VD.dtype
    if torch.is_autocast_enabled(device_type):
        compute_dtype = torch.get_autocast_dtype(device_type)
    with torch.autocast(device_type, enabled=False):
        return _LinearCrossEntropy.apply(
            hidden_ND, weight_VD, labels_N, chunk_tokens, compute_dtype
        )


def cross_entropy_loss(model: PreTrainedModel, batch: PackedBatch) -> tuple[torch.Tensor, int]:
    """(sum of the token losses in nats, number of labels) of a packed row.

    No attention mask is passed: with one, even all ones, transformers stops deriving document
    boundaries from `position_ids` and documents see each other.
    """
    labels_T = batch.labels[0, 1:].to(model.device)
    is_target_T = labels_T != IGNORED_LABEL
    targets_N = labels_T[is_target_T]
    hidden_TD = final_hidden_states(model, batch)[0, :-1]
    weight_VD = model.get_output_embeddings().weight
    return linear_cross_entropy(hidden_TD[is_target_T], weight_VD, targets_N), len(targets_N)


def final_hidden_states(model: PreTrainedModel, batch: PackedBatch) -> torch.Tensor:
    """Hidden states [1, T, D] after the last norm, each document alone in its context."""
    return model.get_decoder()(
        input_ids=batch.input_ids.to(model.device),
        position_ids=batch.position_ids.to(model.device),
        use_cache=False,
    ).last_hidden_state


def require_linear_head(model: PreTrainedModel) -> None:
    """The model's logits are its final hidden states times the head's weight, and nothing more.

    Raises:
        ModelError: `model.unsupported` for a head with soft-capping, scaling or a bias, whose loss
            would silently be wrong.
    """
    input_ids = torch.arange(8, device=model.device)[None]
    with torch.no_grad():
        expected = model(input_ids=input_ids, use_cache=False).logits
        hidden = model.get_decoder()(input_ids=input_ids, use_cache=False).last_hidden_state
        logits = hidden @ model.get_output_embeddings().weight.T
    difference = (logits - expected).abs().max() / expected.abs().max()
    if not difference <= HEAD_TOLERANCE:
        raise ModelError(
            "model.unsupported",
            f"the output layer of {model.config.model_type} is not a plain linear layer (its logits"
            f" differ by {difference:.2g} of the largest), which training needs; choose another "
            "base model",
        )

"""The LM head and a loss on its logits without the logits of a whole batch.

At a vocabulary of 49,152, one packed row of 512 tokens has 96 MiB of float32 logits and as much for
their gradient; at 152k and 8,192 tokens it is 4.6 GiB each. So the head runs over chunks of
positions, and the gradients are computed in the forward pass, while a chunk's logits exist: three
matrix products instead of the four of recomputation under `torch.utils.checkpoint`.

Shape suffixes: N positions, C positions of one chunk, D hidden size, V vocabulary.
"""

from typing import Any, Protocol

import torch
from torch.autograd.function import once_differentiable

CHUNK_TOKENS = 128
"""Positions whose logits exist at one time: 25 MiB at a vocabulary of 49,152."""


class ChunkLoss(Protocol):
    """A loss of logits that is a sum over positions."""

    def __call__(
        self, logits_CV: torch.Tensor, part: slice, *, wants_gradient: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(sum of the losses of the positions `part`, its gradient with respect to the logits).

        `logits_CV` may be overwritten; the gradient may be None where it is not wanted.
        """


class _ChunkedHead(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: torch.Tensor,
        weight_VD: torch.Tensor,
        chunk_loss: ChunkLoss,
        chunk_tokens: int,
        compute_dtype: torch.dtype,
    ) -> torch.Tensor:
        wants_hidden, wants_weight = ctx.needs_input_grad[:2]
        loss_dtype = torch.promote_types(compute_dtype, torch.float32)
        loss = torch.zeros((), dtype=loss_dtype, device=hidden_ND.device)
        grad_hidden_ND = torch.empty_like(hidden_ND) if wants_hidden else None
        grad_weight_VD = torch.zeros_like(weight_VD) if wants_weight else None
        weight = weight_VD.to(compute_dtype)
        for start in range(0, len(hidden_ND), chunk_tokens):
            part = slice(start, start + chunk_tokens)
            hidden_CD = hidden_ND[part].to(compute_dtype)
            logits_CV = (hidden_CD @ weight.T).to(loss_dtype)
            loss_of_chunk, gradient_CV = chunk_loss(
                logits_CV, part, wants_gradient=wants_hidden or wants_weight
            )
            loss += loss_of_chunk
            if gradient_CV is None:
                continue
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


def chunked_head_loss(
    hidden_ND: torch.Tensor,
    weight_VD: torch.Tensor,
    chunk_loss: ChunkLoss,
    *,
    chunk_tokens: int = CHUNK_TOKENS,
) -> torch.Tensor:
    """Sum over N of a loss of the logits `hidden @ weight.T`.

    Computes in the autocast type where one is set and sums in float32 (float64 for float64
    inputs). Never holds more than `chunk_tokens` x V logits.

    Args:
        hidden_ND: final hidden states, after the last norm.
        weight_VD: weight of the LM head.
        chunk_loss: the loss of a chunk's logits, with its gradient.
        chunk_tokens: positions of a chunk.
    """
    device_type = hidden_ND.device.type
    compute_dtype = weight_VD.dtype
    if torch.is_autocast_enabled(device_type):
        compute_dtype = torch.get_autocast_dtype(device_type)
    with torch.autocast(device_type, enabled=False):
        return _ChunkedHead.apply(hidden_ND, weight_VD, chunk_loss, chunk_tokens, compute_dtype)

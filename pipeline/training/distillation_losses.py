"""Distillation from cached top-k probabilities without the logits of a whole batch.

Loss of one position, with target probabilities p on its top-k set K, tail mass r = 1 - sum_K p,
draft probabilities q with tail q_tail = 1 - sum_K q, and the target's most probable token a:

    w * [ sum_K p log(p / q) + r log(r / q_tail) ]  +  (1 - w) * [ -log q_a ]

The first bracket is the forward KL with all tokens outside K in one bucket, a lower bound of the
full KL; without the bucket the minimum would be a draft that forgets the tail. The gradient with
respect to the logits is, for tokens in K, q - w p - (1 - w) [token = a] and, outside,
q (1 - w r / q_tail).

As in `losses.py` the LM head runs over chunks of positions and the gradients are computed in the
forward pass, while a chunk's probabilities exist.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from pipeline.training.losses import CHUNK_TOKENS


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherTargets:
    """The target's distribution at N positions; the rows of `probs` and `tail` sum to 1."""

    topk_ids: torch.Tensor
    """int64 [N, k], most probable first."""
    probs: torch.Tensor
    """[N, k]."""
    tail: torch.Tensor
    """[N]."""

    @classmethod
    def from_cache(
        cls, topk_ids: np.ndarray, topk_logprobs: np.ndarray, tail_mass: np.ndarray
    ) -> "TeacherTargets":
        """Cached arrays as float32 probabilities; half precision's rounding is normalised away."""
        probs = torch.from_numpy(topk_logprobs).exp()
        tail = torch.from_numpy(tail_mass)
        total = probs.sum(-1) + tail
        return cls(
            topk_ids=torch.from_numpy(topk_ids), probs=probs / total[:, None], tail=tail / total
        )

    def to(self, device: torch.device) -> "TeacherTargets":
        """The same on a device."""
        return TeacherTargets(
            topk_ids=self.topk_ids.to(device),
            probs=self.probs.to(device),
            tail=self.tail.to(device),
        )


class _LinearDistillation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: torch.Tensor,
        weight_VD: torch.Tensor,
        topk_ids_NK: torch.Tensor,
        probs_NK: torch.Tensor,
        tail_N: torch.Tensor,
        kl_weight: float,
        chunk_tokens: int,
        compute_dtype: torch.dtype,
    ) -> torch.Tensor:
        wants_hidden, wants_weight = ctx.needs_input_grad[:2]
        loss_dtype = torch.promote_types(compute_dtype, torch.float32)
        loss = torch.zeros((), dtype=loss_dtype, device=hidden_ND.device)
        grad_hidden_ND = torch.empty_like(hidden_ND) if wants_hidden else None
        grad_weight_VD = torch.zeros_like(weight_VD) if wants_weight else None
        weight = weight_VD.to(compute_dtype)
        smallest = torch.finfo(loss_dtype).tiny
        for start in range(0, len(hidden_ND), chunk_tokens):
            part = slice(start, start + chunk_tokens)
            hidden_CD = hidden_ND[part].to(compute_dtype)
            topk_ids_CK, tail_C = topk_ids_NK[part], tail_N[part].to(loss_dtype)
            probs_CK = probs_NK[part].to(loss_dtype)
            logits_CV = (hidden_CD @ weight.T).to(loss_dtype)
            log_normaliser_C = torch.logsumexp(logits_CV, dim=-1)
            draft_logprobs_CK = logits_CV.gather(1, topk_ids_CK) - log_normaliser_C[:, None]
            draft_CV = logits_CV.sub_(log_normaliser_C[:, None]).exp_()
            # The tail is summed, not taken as 1 - sum_K q, which cancels for a sure draft.
            draft_CV.scatter_(1, topk_ids_CK, 0.0)
            draft_tail_C = draft_CV.sum(-1).clamp_min(smallest)
            kl_C = (torch.xlogy(probs_CK, probs_CK) - probs_CK * draft_logprobs_CK).sum(-1)
            kl_C += torch.xlogy(tail_C, tail_C) - tail_C * draft_tail_C.log()
            loss += (kl_weight * kl_C - (1.0 - kl_weight) * draft_logprobs_CK[:, 0]).sum()
            if not (wants_hidden or wants_weight):
                continue
            gradient_CV = draft_CV.mul_((1.0 - kl_weight * tail_C / draft_tail_C)[:, None])
            gradient_CK = draft_logprobs_CK.exp_() - kl_weight * probs_CK
            gradient_CK[:, 0] -= 1.0 - kl_weight
            gradient_CV = gradient_CV.scatter_(1, topk_ids_CK, gradient_CK).to(compute_dtype)
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
        return (*scaled, None, None, None, None, None, None)


def linear_distillation(
    hidden_ND: torch.Tensor,
    weight_VD: torch.Tensor,
    targets: TeacherTargets,
    *,
    kl_weight: float,
    chunk_tokens: int = CHUNK_TOKENS,
) -> torch.Tensor:
    """Sum over N of the distillation loss of the logits `hidden @ weight.T`, in nats.

    `kl_weight` 1 is the forward KL alone, 0 the cross-entropy to the target's argmax alone.
    Computes in the autocast type where one is set and sums in float32 (float64 for float64
    inputs). Never holds more than `chunk_tokens` x V logits.
    """
    device_type = hidden_ND.device.type
    compute_dtype = weight_VD.dtype
    if torch.is_autocast_enabled(device_type):
        compute_dtype = torch.get_autocast_dtype(device_type)
    with torch.autocast(device_type, enabled=False):
        return _LinearDistillation.apply(
            hidden_ND,
            weight_VD,
            targets.topk_ids,
            targets.probs,
            targets.tail,
            kl_weight,
            chunk_tokens,
            compute_dtype,
        )

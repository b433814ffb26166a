"""Distillation from cached top-k probabilities without the logits of a whole batch.

Loss of one position, with target probabilities p on its top-k set K, tail mass r = 1 - sum_K p,
draft probabilities q with tail q_tail = 1 - sum_K q, and the target's most probable token a:

    w * [ sum_K p log(p / q) + r log(r / q_tail) ]  +  (1 - w) * [ -log q_a ]

The first bracket is the forward KL with all tokens outside K in one bucket, a lower bound of the
full KL; without the bucket the minimum would be a draft that forgets the tail. The gradient with
respect to the logits is, for tokens in K, q - w p - (1 - w) [token = a] and, outside,
q (1 - w r / q_tail).

Shape suffixes: N positions, C positions of one chunk, D hidden size, V vocabulary, K kept
candidates.
"""

from dataclasses import dataclass

import numpy as np
import torch

from pipeline.training.chunked_head import CHUNK_TOKENS, chunked_head_loss


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


def linear_distillation(
    hidden_ND: torch.Tensor,
    weight_VD: torch.Tensor,
    targets: TeacherTargets,
    *,
    kl_weight: float,
    chunk_tokens: int = CHUNK_TOKENS,
) -> torch.Tensor:
    """Sum over N of the distillation loss of the logits `hidden @ weight.T`, in nats.

    Args:
        hidden_ND: final hidden states, after the last norm.
        weight_VD: weight of the LM head.
        targets: the target's distribution at each position.
        kl_weight: 1 is the forward KL alone, 0 the cross-entropy to the target's argmax alone.
        chunk_tokens: as `chunked_head_loss`, which says how it is computed.
    """

    def chunk_loss(
        logits_CV: torch.Tensor, part: slice, *, wants_gradient: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        loss_dtype = logits_CV.dtype
        topk_ids_CK = targets.topk_ids[part]
        probs_CK, tail_C = targets.probs[part].to(loss_dtype), targets.tail[part].to(loss_dtype)
        log_normaliser_C = torch.logsumexp(logits_CV, dim=-1)
        draft_logprobs_CK = logits_CV.gather(1, topk_ids_CK) - log_normaliser_C[:, None]
        draft_CV = logits_CV.sub_(log_normaliser_C[:, None]).exp_()
        # The tail is summed, not taken as 1 - sum_K q, which cancels for a sure draft.
        draft_CV.scatter_(1, topk_ids_CK, 0.0)
        draft_tail_C = draft_CV.sum(-1).clamp_min(torch.finfo(loss_dtype).tiny)
        kl_C = (torch.xlogy(probs_CK, probs_CK) - probs_CK * draft_logprobs_CK).sum(-1)
        kl_C += torch.xlogy(tail_C, tail_C) - tail_C * draft_tail_C.log()
        loss = (kl_weight * kl_C - (1.0 - kl_weight) * draft_logprobs_CK[:, 0]).sum()
        if not wants_gradient:
            return loss, None
        gradient_CV = draft_CV.mul_((1.0 - kl_weight * tail_C / draft_tail_C)[:, None])
        gradient_CK = draft_logprobs_CK.exp_() - kl_weight * probs_CK
        gradient_CK[:, 0] -= 1.0 - kl_weight
        return loss, gradient_CV.scatter_(1, topk_ids_CK, gradient_CK)

    return chunked_head_loss(hidden_ND, weight_VD, chunk_loss, chunk_tokens=chunk_tokens)

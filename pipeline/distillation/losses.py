"""Distillation from cached top-k probabilities without the logits of a whole batch.

Loss of one position, with target probabilities p on its kept tokens K, tail mass r = 1 - sum_K p,
draft probabilities q with tail t = 1 - sum_K q, a divergence D of `divergences` over the k + 1
buckets, and the target's most probable token a:

    w D((p, r), (q, t))  +  (1 - w) [ -log q_a ]

Without the bucket the minimum would be a draft that forgets the tail. With h = dLoss / dlog q by
bucket and s the sum of h, the gradient with respect to the logits is h - s q for a token of K and,
outside, q (h_tail / t - s); for the forward KL alone that is q - p and q (1 - r / t).

A kept token that the draft cannot say (its id is -1) has no logit; its p belongs to r. Where the
draft cannot say a, the second term is 0.

Shape suffixes: N positions, C positions of one chunk, D hidden size, V tokens the draft can say,
K kept candidates, B = K + 1 buckets.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.distillation.divergences import SMALLEST_PROBABILITY, Divergence
from pipeline.distillation.output_layer import OutputLayer
from pipeline.training.chunked_head import CHUNK_TOKENS, chunked_head_loss


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherTargets:
    """The target's distribution at N positions; the rows of `probs` and `tail` sum to 1."""

    topk_ids: torch.Tensor
    """int64 [N, k], most probable first; -1 for a token the draft cannot say."""
    probs: torch.Tensor
    """[N, k]; 0 where the id is -1."""
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

    def at_temperature(self, temperature: float) -> "TeacherTargets":
        """The target's distribution at another temperature than 1.

        What was kept at 1 gives the kept tokens exactly but for the sum over all; the tokens of
        the tail count as if each had the probability of the least kept one. That is most for
        temperatures below 1, where the tail shrinks.
        """
        probs, tail = self._powers(temperature)
        total = probs.sum(-1) + tail
        return TeacherTargets(
            topk_ids=self.topk_ids, probs=probs / total[:, None], tail=tail / total
        )

    def sum_at_temperature(self, temperature: float) -> torch.Tensor:
        """`[N]`: p ** (1 / temperature) over this is a token's probability there."""
        probs, tail = self._powers(temperature)
        return probs.sum(-1) + tail

    def _powers(self, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
        power = 1.0 / temperature
        least = self.probs[:, -1].clamp_min(SMALLEST_PROBABILITY)
        return self.probs**power, self.tail * least ** (power - 1.0)

    def for_output(self, output: OutputLayer) -> "TeacherTargets":
        """The same for a draft that says the tokens of `output`; ids are its rows."""
        rows = output.rows_of(self.topk_ids)
        is_said = rows >= 0
        return TeacherTargets(
            topk_ids=rows,
            probs=self.probs * is_said,
            tail=self.tail + (self.probs * ~is_said).sum(-1),
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
    divergence: Divergence,
    weight: float,
    chunk_tokens: int = CHUNK_TOKENS,
) -> torch.Tensor:
    """Sum over N of the distillation loss of the logits `hidden @ weight.T`, in nats.

    Args:
        hidden_ND: final hidden states, after the last norm.
        weight_VD: weight of the LM head, of the tokens the draft can say.
        targets: the target's distribution at each position; its ids are rows of `weight_VD`.
        divergence: one of `DIVERGENCES`.
        weight: w of the module; 1 is the divergence alone, 0 the cross-entropy to the target's
            argmax alone.
        chunk_tokens: as `chunked_head_loss`, which says how it is computed.
    """

    def chunk_loss(
        logits_CV: torch.Tensor, part: slice, *, wants_gradient: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        loss_dtype = logits_CV.dtype
        smallest = torch.finfo(loss_dtype).tiny
        is_said_CK = targets.topk_ids[part] >= 0
        ids_CK = targets.topk_ids[part].clamp_min(0)
        probs_CB = torch.cat([targets.probs[part], targets.tail[part][:, None]], 1).to(loss_dtype)
        draft_CV = logits_CV.sub_(torch.logsumexp(logits_CV, dim=-1, keepdim=True))
        kept_logprobs_CK = draft_CV.gather(1, ids_CK)
        draft_CV.exp_()
        kept_CK = draft_CV.gather(1, ids_CK) * is_said_CK
        # The tail is summed, not taken as 1 - sum_K q, which cancels for a sure draft. Adding
        # instead of setting: an unsaid token's place is a real token's.
        draft_CV.scatter_add_(1, ids_CK, -kept_CK)
        tail_C = draft_CV.sum(-1).clamp_min(smallest)
        draft_logprobs_CB = torch.cat(
            [
                torch.where(is_said_CK, kept_logprobs_CK, math.log(smallest)),
                tail_C.log()[:, None],
            ],
            1,
        )
        with torch.enable_grad():
            # By buckets only; the library's own derivatives take no memory of the vocabulary.
            draft_logprobs_CB.requires_grad_()
            of_argmax_C = torch.where(is_said_CK[:, 0], -draft_logprobs_CB[:, 0], 0.0)
            loss = (1.0 - weight) * of_argmax_C.sum()
            if weight > 0:
                loss = loss + weight * divergence(probs_CB, draft_logprobs_CB).sum()
        if not wants_gradient:
            return loss.detach(), None
        (h_CB,) = torch.autograd.grad(loss, draft_logprobs_CB)
        h_CK = h_CB[:, :-1] * is_said_CK
        h_tail_C = h_CB[:, -1]
        sum_C = h_CK.sum(-1) + h_tail_C
        gradient_CV = draft_CV.mul_((h_tail_C / tail_C - sum_C)[:, None])
        gradient_CK = h_CK - kept_CK * sum_C[:, None]
        return loss.detach(), gradient_CV.scatter_add_(1, ids_CK, gradient_CK)

    return chunked_head_loss(hidden_ND, weight_VD, chunk_loss, chunk_tokens=chunk_tokens)

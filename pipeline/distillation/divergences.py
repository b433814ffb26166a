"""How far a draft's distribution lies from its target's, by kept tokens and one for the rest.

Each function takes the target's probabilities and the draft's log-probabilities of the same B
buckets, both `[N, B]` with rows that sum to 1, and returns one divergence a row, `[N]`, in nats
(`tvd`: a probability). It is written with differentiable operations; `losses` turns the derivative
by the buckets into one by the logits. The tokens outside the kept ones count as one token, so each
is a lower bound of the same measure over all tokens.

`alpha` below is sum min(p, q) = 1 - tvd: the chance that a token drawn from q is accepted.
"""

from collections.abc import Callable, Mapping

import torch

Divergence = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
SMALLEST_PROBABILITY = 1e-8
"""What `reverse_kl` takes a target probability of 0 for: half precision has none between."""
LK_DECAY = 3.0
"""How fast `lk_hybrid` goes over from KL to acceptance (arXiv 2602.23881, eta)."""


def forward_kl(probs_NB: torch.Tensor, draft_logprobs_NB: torch.Tensor) -> torch.Tensor:
    """sum p log(p / q): the draft must cover whatever the target may say.

    Source: Kullback and Leibler 1951; for drafts DistillSpec (arXiv 2310.08461).
    """
    return (torch.xlogy(probs_NB, probs_NB) - probs_NB * draft_logprobs_NB).sum(-1)


def reverse_kl(probs_NB: torch.Tensor, draft_logprobs_NB: torch.Tensor) -> torch.Tensor:
    """sum q log(q / p): the draft may keep to some of what the target says.

    Source: MiniLLM (arXiv 2306.08543); for drafts DistillSpec (arXiv 2310.08461).
    """
    target_logprobs_NB = probs_NB.clamp_min(SMALLEST_PROBABILITY).log()
    return (draft_logprobs_NB.exp() * (draft_logprobs_NB - target_logprobs_NB)).sum(-1)


def jsd(probs_NB: torch.Tensor, draft_logprobs_NB: torch.Tensor) -> torch.Tensor:
    """Half KL(p || m) + half KL(q || m), m = (p + q) / 2: symmetric, at most log 2.

    Source: Lin 1991; for drafts DistillSpec (arXiv 2310.08461).
    """
    draft_NB = draft_logprobs_NB.exp()
    middle_NB = ((probs_NB + draft_NB) / 2).clamp_min(torch.finfo(draft_NB.dtype).tiny)
    middle_logprobs_NB = middle_NB.log()
    of_target_NB = torch.xlogy(probs_NB, probs_NB) - probs_NB * middle_logprobs_NB
    of_draft_NB = draft_NB * (draft_logprobs_NB - middle_logprobs_NB)
    return (of_target_NB + of_draft_NB).sum(-1) / 2


def tvd(probs_NB: torch.Tensor, draft_logprobs_NB: torch.Tensor) -> torch.Tensor:
    """Half sum |p - q| = 1 - alpha: the chance that a sampled token is refused.

    Source: Leviathan et al. 2023 (arXiv 2211.17192), section 3; DistillSpec (arXiv 2310.08461).
    """
    return (probs_NB - draft_logprobs_NB.exp()).abs().sum(-1) / 2


def nla(probs_NB: torch.Tensor, draft_logprobs_NB: torch.Tensor) -> torch.Tensor:
    """-log alpha: the surprise of an acceptance.

    Source: LK losses (arXiv 2602.23881).
    """
    alpha_N = torch.minimum(probs_NB, draft_logprobs_NB.exp()).sum(-1)
    return -alpha_N.clamp_min(torch.finfo(alpha_N.dtype).tiny).log()


def lk_hybrid(probs_NB: torch.Tensor, draft_logprobs_NB: torch.Tensor) -> torch.Tensor:
    """l `forward_kl` + (1 - l) `tvd` with l = exp(-3 alpha), which has no gradient of its own.

    KL where the draft is far off, where `tvd` hardly has a slope; acceptance itself once it is not.

    Source: LK losses (arXiv 2602.23881).
    """
    refused_N = tvd(probs_NB, draft_logprobs_NB)
    of_kl_N = torch.exp(-LK_DECAY * (1.0 - refused_N.detach()))
    return of_kl_N * forward_kl(probs_NB, draft_logprobs_NB) + (1.0 - of_kl_N) * refused_N


DIVERGENCES: Mapping[str, Divergence] = {
    one.__name__: one for one in (forward_kl, reverse_kl, jsd, tvd, nla, lk_hybrid)
}
"""By the objective that trains on it."""

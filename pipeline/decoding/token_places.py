"""Every token of a sampled answer as a number that is uniform if the target drew it.

The number is the target's exact probability of all tokens that stand before it in an order, plus a
random share of the token's own (Rosenblatt 1952). The order may depend on everything before the
token: first come those that the draft likes more than the target does, so that what leaks from the
draft into the answer gathers at 0.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot
from transformers import PreTrainedModel

from pipeline.decoding.base import SamplingParams
from pipeline.decoding.proposers.base import Proposer
from pipeline.decoding.runner import open_runner
from pipeline.decoding.sampling import probabilities

BELOW_ONE = math.nextafter(1.0, 0.0)


@torch.inference_mode()
def token_places(
    target: PreTrainedModel,
    proposer: Proposer | None,
    prompt: Sequence[int],
    answer: Sequence[int],
    params: SamplingParams,
    chance: np.random.Generator,
) -> list[float]:
    """One number in [0, 1) for each token of the answer but the first.

    Args:
        target: Whose distribution counts.
        proposer: What drafted; None orders tokens by the target's probability, largest first.
        prompt: Token ids.
        answer: Token ids that were drawn.
        params: How they were drawn.
        chance: Gives the shares.
    """
    runner = open_runner(target, batch_size=1, capacity=len(prompt) + len(answer))
    runner.prefill([prompt])
    read = torch.tensor([answer[:-1]], device=target.device)
    logits_TV = runner.forward(read, num_logits=len(answer) - 1)[0]
    drafts = _drafts(proposer, prompt, answer, params, target)
    return [
        _place(probabilities(logits_V.double(), params), draft_V, token, chance.random())
        for logits_V, draft_V, token in zip(logits_TV, drafts, answer[1:], strict=True)
    ]


def _place(probs_V: Tensor, draft_V: Tensor | None, token: int, share: float) -> float:
    """Ties of liking go to the more probable token, then to the lower id."""
    p = probs_V[token]
    is_lower_id = torch.arange(len(probs_V), device=probs_V.device) < token
    is_before = (probs_V > p) | ((probs_V == p) & is_lower_id)
    if draft_V is not None:
        liked_V = draft_V / probs_V
        is_before = (liked_V > liked_V[token]) | ((liked_V == liked_V[token]) & is_before)
    # Rounding may carry the last token of a distribution to 1.
    return min(float(probs_V[is_before].sum() + share * p), BELOW_ONE)


def _drafts(
    proposer: Proposer | None,
    prompt: Sequence[int],
    answer: Sequence[int],
    params: SamplingParams,
    target: PreTrainedModel,
) -> Iterator[Tensor | None]:
    """The distribution `[V]` drafted from after every token of the answer but the last; None where
    nothing is drafted."""
    if proposer is None:
        yield from [None] * (len(answer) - 1)
        return
    session = proposer.begin(
        [prompt],
        capacity=len(prompt) + len(answer),
        params=params,
        generator=torch.Generator(target.device).manual_seed(params.seed),
    )
    for length in range(1, len(answer)):
        draft = session.propose([[*prompt, *answer[:length]]], 1)
        if not draft.num_tokens[0]:
            yield None
        elif draft.probs is not None:
            yield draft.probs[0, 0].double()
        else:
            yield one_hot(draft.token_ids[0, 0], target.config.vocab_size).double()

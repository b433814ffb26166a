"""How a distribution becomes tokens, and how drafted tokens are accepted without changing it.

Shapes: B sequences, G drafted positions, V vocabulary.
"""

import math

import torch
from torch import Tensor

from pipeline.decoding.base import SamplingParams, TokenLogprobs
from pipeline.errors import DecodingError


def check_sampling_params(params: SamplingParams, vocab_size: int) -> None:
    """`params` can be honoured for a model of `vocab_size` tokens.

    Raises:
        DecodingError: `decode.unsupported_option`, naming the field, its value and its range.
    """
    problems = (
        (params.max_new_tokens < 1, "max_new_tokens", params.max_new_tokens, "at least 1"),
        (
            not (math.isfinite(params.temperature) and params.temperature >= 0),
            "temperature",
            params.temperature,
            "0 (greedy) or more",
        ),
        (params.top_k is not None and params.top_k < 1, "top_k", params.top_k, "at least 1"),
        (
            params.top_p is not None and not 0 < params.top_p <= 1,
            "top_p",
            params.top_p,
            "above 0 and at most 1",
        ),
        (
            not 0 <= params.num_logprobs <= vocab_size,
            "num_logprobs",
            params.num_logprobs,
            f"0 to {vocab_size}, the size of the vocabulary",
        ),
    )
    for is_wrong, name, value, allowed in problems:
        if is_wrong:
            raise DecodingError(
                "decode.unsupported_option", f"{name} is {value!r}; it must be {allowed}."
            )


def probabilities(logits: Tensor, params: SamplingParams) -> Tensor:
    """The distribution that tokens are drawn from, in the shape of `logits` (`[..., V]`).

    Greedy is a distribution too: all mass on the argmax, ties to the lowest id. Temperature comes
    first, then top-k, then top-p on what is left, as in vLLM and transformers.
    """
    if params.temperature == 0:
        return torch.zeros_like(logits).scatter_(-1, logits.argmax(-1, keepdim=True), 1.0)
    scaled = logits / params.temperature
    if params.top_k is not None and params.top_k < scaled.shape[-1]:
        kept = scaled.topk(params.top_k, dim=-1)
        scaled = torch.full_like(scaled, -torch.inf).scatter_(-1, kept.indices, kept.values)
    probs = scaled.softmax(-1)
    if params.top_p is None or params.top_p == 1:
        return probs
    ordered, indices = probs.sort(dim=-1, descending=True, stable=True)
    # Keep a token when the mass before it has not reached top_p: the first is always kept.
    is_kept = ordered.cumsum(-1) - ordered < params.top_p
    probs = torch.zeros_like(probs).scatter_(-1, indices, ordered * is_kept)
    return probs / probs.sum(-1, keepdim=True)


def sample(probs: Tensor, generator: torch.Generator) -> Tensor:
    """One token id per row of `probs` (`[B, V]`); returns `[B]`."""
    return probs.multinomial(1, generator=generator).squeeze(-1)


def next_tokens(logits: Tensor, params: SamplingParams, generator: torch.Generator) -> Tensor:
    """One token id per row of `logits` (`[B, V]`), greedy or drawn; returns `[B]`."""
    if params.temperature == 0:
        return logits.argmax(-1)
    return sample(probabilities(logits, params), generator)


def verify_greedy(logits: Tensor, drafted: Tensor, num_drafted: Tensor) -> tuple[Tensor, Tensor]:
    """Which drafted tokens the target's argmax agrees with, and the token that follows them.

    Args:
        logits: Target logits after the pending token and after each drafted one, `[B, G + 1, V]`.
        drafted: Drafted token ids, `[B, G]`; columns past `num_drafted` are padding.
        num_drafted: How many tokens were drafted for each sequence, `[B]`.

    Returns:
        Number of accepted tokens `[B]` and the target's own next token `[B]`.
    """
    chosen = logits.argmax(-1)
    agrees = (drafted == chosen[:, :-1]) & _is_drafted(drafted, num_drafted)
    num_accepted = agrees.long().cumprod(-1).sum(-1)
    return num_accepted, chosen.gather(1, num_accepted[:, None]).squeeze(1)


def verify_sampled(
    target_probs: Tensor,
    draft_probs: Tensor | None,
    drafted: Tensor,
    num_drafted: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """As `verify_greedy` for any distribution: the tokens follow `target_probs` exactly.

    A drafted x is accepted with probability min(1, p(x) / q(x)); after the first refusal the next
    token is drawn from max(p - q, 0) normalised, after no refusal from p.

    Args:
        target_probs: p, `[B, G + 1, V]`.
        draft_probs: q, `[B, G, V]`; None when the draft was chosen without chance, which is a q
            with all mass on the drafted token.
        drafted: `[B, G]`.
        num_drafted: `[B]`.
        generator: Source of chance, on the device of the tensors.

    Source: Leviathan et al. 2023 (arXiv 2211.17192), algorithm 1.
    """
    batch_size, width = drafted.shape
    p_drafted = target_probs[:, :-1].gather(-1, drafted[..., None]).squeeze(-1)
    if draft_probs is None:
        q_drafted = torch.ones_like(p_drafted)
    else:
        q_drafted = draft_probs.gather(-1, drafted[..., None]).squeeze(-1)
    uniform = torch.rand(
        (batch_size, width), generator=generator, dtype=p_drafted.dtype, device=p_drafted.device
    )
    # u < p / q without the division; strict, so that p = 0 is never accepted.
    is_accepted = (uniform * q_drafted < p_drafted) & _is_drafted(drafted, num_drafted)
    num_accepted = is_accepted.long().cumprod(-1).sum(-1)

    rows = torch.arange(batch_size, device=drafted.device)
    p_next = target_probs[rows, num_accepted]
    is_refused = num_accepted < num_drafted
    if width and bool(is_refused.any()):
        refused_at = num_accepted.clamp(max=width - 1)
        if draft_probs is None:
            q_next = torch.zeros_like(p_next).scatter_(1, drafted[rows, refused_at][:, None], 1.0)
        else:
            q_next = draft_probs[rows, refused_at]
        residual = (p_next - q_next).clamp(min=0)
        # Rounding can leave nothing when p and q are equal; a refusal then has no probability.
        is_usable = is_refused & (residual.sum(-1) > 0)
        p_next = torch.where(is_usable[:, None], residual, p_next)
    return num_accepted, sample(p_next, generator)


def token_logprobs(logits: Tensor, token_ids: Tensor, num_logprobs: int) -> list[TokenLogprobs]:
    """Log-probabilities at temperature 1 for each row: `logits` `[N, V]`, `token_ids` `[N]`."""
    logprobs = logits.log_softmax(-1)
    chosen = logprobs.gather(-1, token_ids[:, None]).squeeze(-1)
    top = logprobs.topk(num_logprobs, dim=-1)
    return [
        TokenLogprobs(token_ids=tuple(ids), logprobs=tuple(values), sampled_logprob=logprob)
        for ids, values, logprob in zip(
            top.indices.tolist(), top.values.tolist(), chosen.tolist(), strict=True
        )
    ]


def _is_drafted(drafted: Tensor, num_drafted: Tensor) -> Tensor:
    columns = torch.arange(drafted.shape[1], device=drafted.device)
    return columns < num_drafted[:, None]

"""The seam every decoding engine implements: token ids in, token ids out.

An engine knows nothing of text, chat templates or data sets; a recipe tokenises before and
decodes after. Three engines implement it: `autoregressive`, `speculative` (ours, on Hugging Face
models) and `vllm_engine`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingParams:
    """How to choose tokens. `temperature == 0` is greedy: the argmax, ties to the lowest id."""

    max_new_tokens: int
    temperature: float = 0.0
    top_k: int | None = None
    """Keep the k most probable tokens; None keeps all."""
    top_p: float | None = None
    """Keep the smallest set of tokens whose probability reaches this; None keeps all."""
    seed: int = 0
    stop_token_ids: tuple[int, ...] = ()
    """Decoding ends after one of these; the stop token is part of the output."""
    ignore_stop: bool = False
    """Decode `max_new_tokens` regardless; only for timing, never for quality figures."""
    num_logprobs: int = 0
    """Record this many top log-probabilities of the target at each generated position."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeculationStats:
    """Counts over one completion (or summed over several); names follow vLLM's."""

    num_drafts: int
    """Verification rounds in which at least one token was drafted."""
    num_draft_tokens: int
    num_accepted_tokens: int
    accepted_per_position: tuple[int, ...]
    """How many rounds accepted the draft at position 1..g."""
    num_target_steps: int
    """Forward passes of the target after prefill, drafted or not."""
    num_model_steps: int = 0
    """Steps of a draft model in those rounds; 0 where drafts were looked up, or not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenLogprobs:
    """Top log-probabilities (natural logarithm, temperature 1) at one generated position."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    sampled_logprob: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """What one prompt produced."""

    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    prefill_seconds: float
    """Time until the first token; shared by the batch the prompt was in."""
    decode_seconds: float
    """Time from the first token to the last."""
    speculation: SpeculationStats | None = None
    logprobs: tuple[TokenLogprobs, ...] = field(default=())


def num_shared(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both begin with."""
    shared = 0
    for ours, theirs in zip(first, second, strict=False):
        if ours != theirs:
            break
        shared += 1
    return shared


class Engine(Protocol):
    """Generates a completion for each prompt.

    Implementations raise `DecodingError` (`decode.unsupported_option`, `decode.context_too_long`,
    `decode.engine_failed`); they never drop an option silently.
    """

    name: str
    vocab_size: int

    def generate(
        self, prompts: Sequence[Sequence[int]], params: SamplingParams
    ) -> list[Completion]: ...

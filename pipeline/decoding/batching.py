"""What our engines share: checking a request, forming batches, collecting what is generated."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel

from pipeline.decoding.base import (
    Completion,
    FinishReason,
    SamplingParams,
    SpeculationStats,
    TokenLogprobs,
)
from pipeline.decoding.sampling import check_sampling_params
from pipeline.errors import DecodingError


def check_request(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], params: SamplingParams
) -> None:
    """`model` can answer each prompt with `params.max_new_tokens` tokens; errors as `check_fit`."""
    config = model.config
    check_fit(
        prompts,
        params,
        vocab_size=config.vocab_size,
        max_context=config.max_position_embeddings,
    )


def check_fit(
    prompts: Sequence[Sequence[int]],
    params: SamplingParams,
    *,
    vocab_size: int,
    max_context: int,
) -> None:
    """Each prompt and its `params.max_new_tokens` tokens fit a model of these limits.

    Raises:
        DecodingError: `decode.unsupported_option` for parameters out of range, an empty prompt or
            a token id outside the vocabulary; `decode.context_too_long`.
    """
    check_sampling_params(params, vocab_size)
    for index, prompt in enumerate(prompts):
        if not prompt:
            raise DecodingError(
                "decode.unsupported_option",
                f"Prompt {index} is empty. Begin it with the tokenizer's start token.",
            )
        if not 0 <= min(prompt) <= max(prompt) < vocab_size:
            raise DecodingError(
                "decode.unsupported_option",
                f"Prompt {index} has token ids from {min(prompt)} to {max(prompt)}; the model's "
                f"vocabulary is 0 to {vocab_size - 1}. Use the tokenizer of this model.",
            )
        if len(prompt) + params.max_new_tokens > max_context:
            raise DecodingError(
                "decode.context_too_long",
                f"Prompt {index} has {len(prompt)} tokens; with {params.max_new_tokens} new ones "
                f"it passes the model's context of {max_context}. Shorten the prompt or lower "
                "max_new_tokens.",
            )


def batches_by_length(prompts: Sequence[Sequence[int]], max_batch_size: int) -> Iterator[list[int]]:
    """Indices of `prompts` in batches of similar length, longest first.

    The longest batch needs the most memory; when it does not fit, that shows at the start.
    """
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    for start in range(0, len(order), max_batch_size):
        yield order[start : start + max_batch_size]


def read_clock(device: torch.device) -> float:
    """Seconds on a monotonic clock, after the device has finished what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@dataclass(kw_only=True, slots=True)
class GeneratedSequence:
    """The growing answer to one prompt."""

    params: SamplingParams
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprobs] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    first_token_at: float = 0.0
    last_token_at: float = 0.0

    def extend(
        self, token_ids: Sequence[int], logprobs: Sequence[TokenLogprobs], now: float
    ) -> int:
        """Append tokens up to a stop token or the length limit; returns how many were taken.

        `logprobs` is empty or has one entry for each token.
        """
        if not self.token_ids:
            self.first_token_at = now
        num_taken = 0
        for token in token_ids:
            self.token_ids.append(token)
            num_taken += 1
            if token in self.params.stop_token_ids and not self.params.ignore_stop:
                self.finish_reason = "stop"
            elif len(self.token_ids) == self.params.max_new_tokens:
                self.finish_reason = "length"
            if self.finish_reason:
                break
        self.logprobs.extend(logprobs[:num_taken])
        self.last_token_at = now
        return num_taken

    def to_completion(
        self, started: float, speculation: SpeculationStats | None = None
    ) -> Completion:
        """The finished answer; `started` is when its batch began."""
        if self.finish_reason is None:
            raise ValueError("the sequence is not finished")
        return Completion(
            token_ids=tuple(self.token_ids),
            finish_reason=self.finish_reason,
            prefill_seconds=self.first_token_at - started,
            decode_seconds=self.last_token_at - self.first_token_at,
            speculation=speculation,
            logprobs=tuple(self.logprobs),
        )


def fill_holes(is_finished: Sequence[bool]) -> list[int]:
    """The rows that stay, each finished row replaced by the last unfinished one behind it.

    Moves as few rows as possible: [stay, done, stay, stay] gives [0, 3, 2].
    """
    num_live = is_finished.count(False)
    spare = (row for row in range(len(is_finished) - 1, -1, -1) if not is_finished[row])
    return [next(spare) if is_finished[row] else row for row in range(num_live)]

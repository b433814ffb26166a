"""`generate` of transformers, alone and with its own ways of drafting, timed by the token."""

import time
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel, StoppingCriteria, StoppingCriteriaList

from bench.answering.turns import Arm
from pipeline.decoding.base import Completion, SamplingParams


class _FirstToken(StoppingCriteria):  # type: ignore[misc]  # transformers has no types
    """Notes when the first tokens are there; stops nothing."""

    def __init__(self) -> None:
        self.at: float | None = None
        self.num_tokens = 0

    def __call__(self, input_ids: Tensor, scores: object, **kwargs: object) -> Tensor:
        if self.at is None:
            self.at = time.perf_counter()
            self.num_tokens = input_ids.shape[1]
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


def generate_arms(
    target: PreTrainedModel, draft: PreTrainedModel, *, length: int, lookup: int
) -> dict[str, Arm]:
    """By name: `generate` with both caches, assisted by the draft, and its prompt lookup.

    The draft writes `length` tokens a round whatever its confidence, the lookup up to `lookup`.
    """
    draft.generation_config.num_assistant_tokens = length
    draft.generation_config.num_assistant_tokens_schedule = "constant"
    draft.generation_config.assistant_confidence_threshold = 0.0
    return {
        "generate": _arm(target),
        "generate_static_cache": _arm(target, cache_implementation="static"),
        "generate_assisted": _arm(target, assistant_model=draft),
        "generate_prompt_lookup": _arm(target, prompt_lookup_num_tokens=lookup),
    }


def _arm(target: PreTrainedModel, **more: object) -> Arm:
    def answer(prompt: Sequence[int], params: SamplingParams) -> Completion:
        first = _FirstToken()
        config = GenerationConfig(
            max_new_tokens=params.max_new_tokens,
            do_sample=False,
            eos_token_id=list(params.stop_token_ids) or None,
            pad_token_id=0,
        )
        ids = torch.tensor([prompt])
        began = time.perf_counter()
        with torch.inference_mode():
            output = target.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                generation_config=config,
                stopping_criteria=StoppingCriteriaList([first]),
                **more,
            )
        ended = time.perf_counter()
        tokens = tuple(output[0, len(prompt) :].tolist())
        has_stopped = bool(tokens) and tokens[-1] in params.stop_token_ids
        reached = first.at or ended
        # Drafting begins in the first round, which may bring several tokens; as if it were one.
        num_later = len(prompt) + len(tokens) - first.num_tokens
        share = (len(tokens) - 1) / num_later if num_later > 0 else 1.0
        return Completion(
            token_ids=tokens,
            finish_reason="stop" if has_stopped else "length",
            prefill_seconds=reached - began,
            decode_seconds=(ended - reached) * share,
        )

    return answer

"""`generate` of transformers on several prompts at once."""

from collections.abc import Iterable, Sequence

import torch
from transformers import GenerationConfig, PreTrainedModel

from pipeline.decoding.base import SamplingParams
from pipeline.decoding.batching import batches_by_length

PADDING = 0


def generate_in_batches(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    params: SamplingParams,
    *,
    batch_size: int,
) -> list[tuple[int, ...]]:
    """Greedy answers in the order of `prompts`; those of similar length share a batch.

    Prompts are padded on the left. A batch lasts until its longest answer has ended, as `generate`
    does it; what it writes behind a stop token is no part of an answer.
    """
    config = GenerationConfig(
        max_new_tokens=params.max_new_tokens,
        do_sample=False,
        eos_token_id=list(params.stop_token_ids) or None,
        pad_token_id=PADDING,
    )
    answers: dict[int, tuple[int, ...]] = {}
    for indices in batches_by_length(prompts, batch_size):
        longest = max(len(prompts[index]) for index in indices)
        ids = torch.full((len(indices), longest), PADDING)
        mask = torch.zeros_like(ids)
        for row, index in enumerate(indices):
            ids[row, longest - len(prompts[index]) :] = torch.tensor(prompts[index])
            mask[row, longest - len(prompts[index]) :] = 1
        with torch.inference_mode():
            output = model.generate(ids, attention_mask=mask, generation_config=config)
        for index, row in zip(indices, output[:, longest:].tolist(), strict=True):
            answers[index] = _until_stop(row, params.stop_token_ids)
    return [answers[index] for index in range(len(prompts))]


def _until_stop(tokens: Iterable[int], stop_token_ids: Sequence[int]) -> tuple[int, ...]:
    answer = []
    for token in tokens:
        answer.append(token)
        if token in stop_token_ids:
            break
    return tuple(answer)

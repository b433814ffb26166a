"""Is a faster decoder's greedy output the target's own?

In exact arithmetic speculation cannot change a greedy answer. In float64 that holds token for token
and is demanded. In float32 a pass over several rows rounds differently from a pass over one, so two
nearly equal logits may swap: a first difference is accepted only when the float64 logits of the
same prefix are that close, and is counted beside what the target alone does at another batch size.
In bfloat16 a logit has eight significant bits: two that differ by less than two steps of the better
one are a near tie.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from pipeline.contracts.decoding_results import LosslessnessCounts
from pipeline.decoding.base import num_shared

NEAR_TIE = 1e-4
"""Largest float64 logit gap at a first difference that rounding explains in float32."""
BFLOAT16_STEPS = 2
"""The same in bfloat16, in steps between neighbouring numbers of the better logit's size."""


def check_greedy_losslessness(
    target: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    reference: Sequence[Sequence[int]],
    candidate: Sequence[Sequence[int]],
) -> LosslessnessCounts:
    """Each candidate answer is the reference's, or differs first at a near tie.

    Args:
        target: The model both decoded; it is used in float64 for the prefixes that differ and has
            its dtype back afterwards.
        prompts: Token ids.
        reference: Answers of the target alone, one for each prompt.
        candidate: Answers to be judged.
    """
    differing = [
        (prompt, expected, found)
        for prompt, expected, found in zip(prompts, reference, candidate, strict=True)
        if tuple(expected) != tuple(found)
    ]
    dtype, found_gaps = target.dtype, []
    if differing:
        with in_float64(target):
            found_gaps = [_gap_at_first_difference(target, *answers) for answers in differing]
    num_near_ties = sum(gap < near_tie(dtype, best) for gap, best in found_gaps)
    gaps = [gap for gap, _best in found_gaps]
    return LosslessnessCounts(
        is_lossless=num_near_ties == len(gaps),
        num_prompts=len(prompts),
        num_identical=len(prompts) - len(gaps),
        num_near_ties=num_near_ties,
        largest_gap=max((gap for gap in gaps if math.isfinite(gap)), default=None),
    )


def near_tie(dtype: torch.dtype, best_logit: float) -> float:
    """The gap below which rounding explains that another logit than the best was taken."""
    if dtype != torch.bfloat16:
        return NEAR_TIE
    # A number of eight significant bits in [2^e, 2^(e + 1)) has neighbours 2^(e - 7) away.
    _mantissa, exponent = math.frexp(abs(best_logit))
    return BFLOAT16_STEPS * math.ldexp(1.0, exponent - 8)


@contextmanager
def in_float64(*models: PreTrainedModel) -> Iterator[None]:
    """Inside, `models` compute in float64; afterwards every tensor has its own dtype again.

    Exact both ways: every float32, float16 and bfloat16 number is a float64 number. Tensor by
    tensor, because a bfloat16 model keeps its rotary frequencies in float32.
    """
    tensors = {
        id(tensor): tensor
        for model in models
        for tensor in (*model.parameters(), *model.buffers())
        if tensor.is_floating_point()
    }
    dtypes = {key: tensor.dtype for key, tensor in tensors.items()}
    try:
        for tensor in tensors.values():
            tensor.data = tensor.data.to(torch.float64)
        yield
    finally:
        for key, tensor in tensors.items():
            tensor.data = tensor.data.to(dtypes[key])


@torch.inference_mode()
def _gap_at_first_difference(
    target: PreTrainedModel, prompt: Sequence[int], expected: Sequence[int], found: Sequence[int]
) -> tuple[float, float]:
    """The gap, infinite where one answer goes on behind the other's end, and the best logit."""
    shared = num_shared(expected, found)
    if shared == min(len(expected), len(found)):
        # One answer goes on where the other ended: no swap of two logits explains that.
        return float("inf"), 0.0
    ids = torch.tensor([[*prompt, *expected[:shared]]], device=target.device)
    logits_V = target(input_ids=ids, logits_to_keep=1, use_cache=False).logits[0, -1]
    # Against the best logit as well: two bad tokens may be close to each other.
    best = logits_V.max()
    return float(best - logits_V[[expected[shared], found[shared]]].min()), float(best)

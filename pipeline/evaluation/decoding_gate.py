"""Whether a benchmark's arms gave the target's own answers, beside what rounding alone does."""

from collections.abc import Mapping, Sequence

import torch
from transformers import PreTrainedModel

from pipeline.contracts.decoding_results import LosslessnessResults
from pipeline.contracts.decoding_spec import AUTOREGRESSIVE
from pipeline.decoding.base import Completion
from pipeline.decoding.losslessness import check_greedy_losslessness
from pipeline.evaluation.decoding_figures import Measurement

BATCH_SIZE = 8
"""Of the target alone, for comparison: another batch rounds differently too."""


def judge_losslessness(
    target: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    measured: Mapping[str, Measurement],
    batched: Sequence[Completion],
) -> LosslessnessResults:
    """Every arm's first answers against those of the target alone, in the same engine.

    In bfloat16 an arm may have no more near ties than plain decoding has at another batch size.

    Args:
        target: Judges first differences by its float64 logits; it need not be what decoded.
        prompts: Token ids.
        measured: What each arm produced by greedy decoding, `AUTOREGRESSIVE` among them.
        batched: Answers of the target alone to the same prompts, `BATCH_SIZE` at a time.
    """
    reference = _token_ids(measured[AUTOREGRESSIVE].first())
    plain = check_greedy_losslessness(target, prompts, reference, _token_ids(batched))
    arms = {}
    for name, measurement in measured.items():
        if name == AUTOREGRESSIVE:
            continue
        counts = check_greedy_losslessness(
            target, prompts, reference, _token_ids(measurement.first())
        )
        # In bfloat16 near ties are common, so many of them would hide a fault.
        if target.dtype == torch.bfloat16 and counts.num_near_ties > plain.num_near_ties:
            counts = counts.model_copy(update={"is_lossless": False})
        arms[name] = counts
    return LosslessnessResults(
        is_lossless=all(counts.is_lossless for counts in arms.values()),
        arms=arms,
        autoregressive_batch_1_vs_8=plain,
    )


def _token_ids(completions: Sequence[Completion]) -> list[tuple[int, ...]]:
    return [one.token_ids for one in completions]

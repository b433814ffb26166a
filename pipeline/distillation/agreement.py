"""Where a draft would be accepted on an answer of its target, from one pass of the draft."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from pipeline.distillation.cache import TeacherAnswer
from pipeline.distillation.losses import TeacherTargets
from pipeline.distillation.output_layer import OutputLayer

NUM_DRAWS = 16
"""Times that chance decides about each sampled token; the same chances for every draft."""


def acceptance_flags(
    model: PreTrainedModel,
    answers: Sequence[TeacherAnswer],
    output: OutputLayer,
    temperature: float,
) -> list[NDArray[np.bool_]]:
    """Whether each token of the answers would be accepted were it drafted, bool [A] each.

    Greedy answers (temperature 0) once each: exactly where the draft's argmax is the target's.
    Sampled ones `NUM_DRAWS` times each: with the chance min(1, q / p) that a sampling draft has.
    """
    if temperature == 0:
        return [greedy_agreement(model, answer, output) for answer in answers]
    generator = np.random.default_rng(0)
    flags: list[NDArray[np.bool_]] = []
    for answer in answers:
        chances = acceptance_chances(model, answer, output, temperature)
        flags.extend(generator.random((NUM_DRAWS, len(chances))) < chances)
    return flags


def greedy_agreement(
    model: PreTrainedModel, answer: TeacherAnswer, output: OutputLayer
) -> NDArray[np.bool_]:
    """bool [A]: the draft's argmax is the target's, given the target's tokens before it."""
    predicted = output.tokens_of(_logits(model, answer, output).argmax(-1)).cpu().numpy()
    agreement: NDArray[np.bool_] = predicted == answer.topk_ids[:, 0]
    return agreement


def acceptance_chances(
    model: PreTrainedModel, answer: TeacherAnswer, output: OutputLayer, temperature: float
) -> NDArray[np.float64]:
    """float [A]: min(1, q / p) of each token, both at `temperature`.

    A token the draft cannot say has none. p is known up to the tail's part of its sum
    (`TeacherTargets.at_temperature`).
    """
    rows = output.rows_of(torch.from_numpy(answer.answer_ids))
    logprobs = (_logits(model, answer, output).cpu().double() / temperature).log_softmax(-1)
    draft = logprobs.gather(1, rows.clamp_min(0)[:, None])[:, 0]
    targets = TeacherTargets.from_cache(answer.topk_ids, answer.topk_logprobs, answer.tail_mass)
    sum_of_powers = targets.sum_at_temperature(temperature).double()
    taken = torch.from_numpy(answer.sampled_logprobs).double() / temperature - sum_of_powers.log()
    chances: NDArray[np.float64] = ((draft - taken).clamp_max(0).exp() * (rows >= 0)).numpy()
    return chances


@torch.inference_mode()
def _logits(model: PreTrainedModel, answer: TeacherAnswer, output: OutputLayer) -> torch.Tensor:
    """[A, R]: what the draft expects at each token of the answer, over the tokens it may say."""
    ids = np.concatenate([answer.prompt_ids, answer.answer_ids[:-1]])
    hidden = model.get_decoder()(
        input_ids=torch.from_numpy(ids)[None].to(model.device), use_cache=False
    ).last_hidden_state[0, -len(answer.answer_ids) :]
    return hidden @ output.weight(model).T

"""What a draft would gain: how often it proposes what its target says, on answers held back."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from pipeline.contracts.training_results import AcceptanceFigures
from pipeline.decoding.simulator import simulate_rounds
from pipeline.distillation.cache import TeacherAnswer
from pipeline.errors import DataError
from pipeline.execution import RunContext

HELDBACK_EVERY = 8
"""Every eighth answer is never trained on, whatever the objective; acceptance is measured there."""
DRAFT_LENGTHS = range(1, 7)
DEFINITION = "greedy agreement, every eighth answer, prefixes of the target"


def hold_back(
    answers: Sequence[TeacherAnswer],
) -> tuple[list[TeacherAnswer], list[TeacherAnswer]]:
    """(answers to train on, answers to measure on); the same for every objective.

    Raises:
        DataError: `data.empty` when nothing is left to train on.
    """
    heldback = list(answers[::HELDBACK_EVERY])
    trained = [answer for index, answer in enumerate(answers) if index % HELDBACK_EVERY]
    if not trained:
        raise DataError(
            "data.empty",
            f"the cache holds {len(answers)} answer, and one is held back to measure acceptance; "
            "raise answers.num_tokens or give more prompts",
        )
    return trained, heldback


def measure_acceptance(
    model: PreTrainedModel, answers: Sequence[TeacherAnswer], context: RunContext
) -> AcceptanceFigures:
    """The draft's agreement with its target, and what drafts of each length would bring."""
    progress = context.progress("acceptance", len(answers), "answers")
    agreements = []
    for answer in answers:
        agreements.append(greedy_agreement(model, answer))
        progress.advance()
    return acceptance_figures(agreements)


def acceptance_figures(agreements: Sequence[NDArray[np.bool_]]) -> AcceptanceFigures:
    """The figures of each answer's agreement, position by position."""
    after_first = [agreement[1:] for agreement in agreements]  # prefill gives the first token
    return AcceptanceFigures(
        n=len(agreements),
        tokens=sum(len(agreement) for agreement in agreements),
        greedy_agreement=float(np.concatenate(agreements).mean()),
        block_efficiency={
            str(length): simulate_rounds(
                after_first, num_speculative_tokens=length
            ).block_efficiency
            for length in DRAFT_LENGTHS
            if any(len(flags) for flags in after_first)
        },
    )


def greedy_agreement(model: PreTrainedModel, answer: TeacherAnswer) -> NDArray[np.bool_]:
    """bool [A]: the draft's argmax is the target's, given the target's tokens before it."""
    ids = np.concatenate([answer.prompt_ids, answer.answer_ids[:-1]])
    num_positions = len(answer.answer_ids)
    with torch.inference_mode():
        logits = model(
            input_ids=torch.from_numpy(ids)[None].to(model.device),
            use_cache=False,
            logits_to_keep=num_positions,
        ).logits
    predicted = logits[0].argmax(-1).cpu().numpy()
    agreement: NDArray[np.bool_] = predicted == answer.topk_ids[:, 0]
    return agreement

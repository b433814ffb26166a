"""What a draft would gain: how often it proposes what its target says, on answers held back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel

from pipeline.contracts.distillation_spec import EarlyStop
from pipeline.contracts.training_results import AcceptanceFigures
from pipeline.decoding.simulator import simulate_rounds
from pipeline.distillation.agreement import acceptance_flags, greedy_agreement
from pipeline.distillation.cache import TeacherAnswer
from pipeline.distillation.output_layer import OutputLayer
from pipeline.errors import DataError
from pipeline.execution import RunContext
from pipeline.metrics.speculation import mean_round_cost

HELDBACK_EVERY = 8
"""Every eighth answer is never trained on, whatever the objective; acceptance is measured there."""
CHOOSING_PLACE = HELDBACK_EVERY // 2
DRAFT_LENGTHS = range(1, 7)


def definition(temperature: float) -> str:
    """What the figures of a report mean."""
    rounds = "" if temperature == 0 else f", rounds accepted with min(1, q / p) at {temperature:g}"
    return f"greedy agreement, every eighth answer, prefixes of the target{rounds}"


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerParts:
    """What the target's answers are for; the same for every objective."""

    trained: list[TeacherAnswer]
    heldback: list[TeacherAnswer]
    """The reported acceptance is measured on them."""
    choosing: list[TeacherAnswer]
    """The best of a training's drafts is chosen on them; empty where the last one is kept."""


def hold_back(answers: Sequence[TeacherAnswer], *, is_choosing: bool = False) -> AnswerParts:
    """The answers, each for one purpose.

    Args:
        answers: of the target, in the cache's order.
        is_choosing: a draft will be chosen: half-way between two held-back answers one more is
            kept from training.

    Raises:
        DataError: `data.empty` when nothing is left to train on, or none to choose by.
    """
    places = [index % HELDBACK_EVERY for index in range(len(answers))]
    parts = AnswerParts(
        trained=[
            answer
            for place, answer in zip(places, answers, strict=True)
            if place and not (is_choosing and place == CHOOSING_PLACE)
        ],
        heldback=list(answers[::HELDBACK_EVERY]),
        choosing=list(answers[CHOOSING_PLACE::HELDBACK_EVERY]) if is_choosing else [],
    )
    if not parts.trained or (is_choosing and not parts.choosing):
        raise DataError(
            "data.empty",
            f"the cache holds {len(answers)} answer{'s' if len(answers) > 1 else ''}, of which one "
            "is held back to measure acceptance, and the fifth where early_stop chooses a draft; "
            "raise answers.num_tokens or give more prompts",
        )
    return parts


def simulated_speedup(accepted: Sequence[NDArray[np.bool_]], costs: EarlyStop) -> float:
    """How many times faster than plain decoding the answers would be, at the best draft length.

    Tokens per target step over what the rounds cost (`mean_round_cost`), with v(g) + h the same
    for every length: on the few rows of a draft that is what a CPU or GPU shows.

    Args:
        accepted: what would be, of each answer, bool [A]; the first token is the prefill's.
        costs: c, and v + h.
    """
    after_first = [flags[1:] for flags in accepted]
    if not any(len(flags) for flags in after_first):
        return 1.0
    speedups = []
    for length in DRAFT_LENGTHS:
        rounds = simulate_rounds(after_first, num_speculative_tokens=length)
        cost = mean_round_cost(
            rounds.num_target_steps,
            rounds.num_drafts,
            rounds.num_draft_tokens,
            costs.draft_step_cost,
            (1.0, *(costs.verification_cost for _ in range(length))),
        )
        speedups.append(rounds.block_efficiency / cost)
    return max(speedups)


def measure_acceptance(
    model: PreTrainedModel,
    answers: Sequence[TeacherAnswer],
    output: OutputLayer,
    context: RunContext,
    *,
    temperature: float,
) -> AcceptanceFigures:
    """The draft's agreement with its target, and what drafts of each length would bring.

    `temperature` is that of the answers, as served.
    """
    progress = context.progress("acceptance", len(answers), "answers")
    agreements = []
    for answer in answers:
        agreements.append(greedy_agreement(model, answer, output))
        progress.advance()
    if temperature == 0:
        return acceptance_figures(agreements, agreements)
    return acceptance_figures(agreements, acceptance_flags(model, answers, output, temperature))


def acceptance_figures(
    agreements: Sequence[NDArray[np.bool_]], accepted: Sequence[NDArray[np.bool_]]
) -> AcceptanceFigures:
    """The figures of each answer's agreement, and of rounds by what would be accepted."""
    after_first = [flags[1:] for flags in accepted]  # prefill gives the first token
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

"""Whether speculation pays, and how much, said before it is timed.

    costs       c and v(g) at one context length, then whole rounds of every engine beside whole
                plain steps, on the target's own answers
    acceptance  greedy: every round the target's answers would take, for each draft length; sampled:
                the rounds that were timed
    prediction  the speedup that timing will measure, with an interval

The prompts are never those that are timed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from transformers import PreTrainedModel

from pipeline.contracts.decoding_results import DecodingCosts, Prediction
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.linear import fast_small_batch_linear
from pipeline.decoding.proposers.base import Proposer
from pipeline.decoding.round_costs import RoundCosts
from pipeline.decoding.rounds import Round, RoundKind, RoundTimer, TimedRound, walk_rounds
from pipeline.decoding.speculative import SpeculativeEngine
from pipeline.metrics.prediction import NUM_DRAWS, predicted_speedup_interval

NUM_TIMED_PROMPTS = 3
"""Rounds are timed on the answers to so many of the prompts."""
TIMED_NEW_TOKENS = 48

Prompt = tuple[int, ...]
RoundsByPrompt = list[list[Round]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Probed:
    """What is known of one arm."""

    num_speculative_tokens: int
    """The draft length that promises most, the shortest of equals."""
    costs: DecodingCosts
    survival: tuple[float, ...]
    prediction: Prediction | None
    """None where no answer takes a round."""


def timed_rounds(
    target: PreTrainedModel,
    proposer: Proposer,
    prompts: Sequence[Prompt],
    params: SamplingParams,
    lengths: Sequence[int],
) -> list[list[TimedRound]]:
    """Whole rounds of the engine on each prompt."""
    short = replace(params, max_new_tokens=min(TIMED_NEW_TOKENS, params.max_new_tokens))
    found = []
    for prompt in prompts:
        timer = RoundTimer(proposer, target, lengths)
        SpeculativeEngine(target, timer, num_speculative_tokens=max(lengths)).generate(
            [prompt], short
        )
        found.append(timer.timed)
    return found


def greedy_rounds(
    target: PreTrainedModel,
    proposer: Proposer,
    answers: Mapping[Prompt, Sequence[int]],
    params: SamplingParams,
    lengths: Sequence[int],
) -> dict[int, RoundsByPrompt]:
    """The rounds that decode the target's `answers` to prompts, for each draft length."""
    walked: dict[int, RoundsByPrompt] = {length: [] for length in lengths}
    generator = torch.Generator(target.device).manual_seed(params.seed)
    with torch.inference_mode(), fast_small_batch_linear(*proposer.models):
        for prompt, answer in answers.items():
            for length in lengths:
                session = proposer.begin(
                    [prompt],
                    capacity=len(prompt) + params.max_new_tokens + length,
                    params=params,
                    generator=generator,
                )
                walked[length].append(
                    walk_rounds(
                        session,
                        prompt,
                        answer,
                        num_speculative_tokens=length,
                        max_new_tokens=params.max_new_tokens,
                    )
                )
    return walked


def sampled_rounds(
    timed: Sequence[Sequence[TimedRound]], lengths: Sequence[int]
) -> dict[int, RoundsByPrompt]:
    """The timed rounds by the draft length that was asked for: where answers are drawn, what is
    accepted is a matter of chance as well, and a real round is a draw of it."""
    return {
        length: [[one for one in rounds if one.num_asked == length] for rounds in timed]
        for length in lengths
    }


def predict(
    costs: DecodingCosts,
    timed: Sequence[TimedRound],
    rounds: Mapping[int, RoundsByPrompt],
    *,
    num_timed: int,
    seed: int,
) -> Probed:
    """The best draft length and what it will bring.

    Args:
        costs: c and v(0) .. v(G); its `h` is not read.
        timed: Rounds with their cost, of all lengths.
        rounds: For each draft length, those of each prompt; prompts without a round are left out.
        num_timed: Prompts that will be timed.
        seed: Of the interval.
    """
    rounds = {length: [one for one in of if one] for length, of in rounds.items()}
    by_length = {
        length: _overall(of, RoundCosts(costs, timed, num_asked=length))
        for length, of in rounds.items()
        if of
    }
    if not by_length:
        length = min(rounds)
        return Probed(
            num_speculative_tokens=length,
            costs=costs,
            survival=(0.0,) * length,
            prediction=None,
        )
    length = max(by_length, key=lambda one: (by_length[one], -one))
    chosen, round_costs = rounds[length], RoundCosts(costs, timed, num_asked=length)
    return Probed(
        num_speculative_tokens=length,
        costs=costs.model_copy(update={"h": round_costs.h, "rounds": round_costs.spread()}),
        survival=_survival(chosen, length),
        prediction=_prediction(chosen, round_costs, by_length, num_timed=num_timed, seed=seed),
    )


def _prediction(
    rounds: RoundsByPrompt,
    costs: RoundCosts,
    by_length: Mapping[int, float],
    *,
    num_timed: int,
    seed: int,
) -> Prediction:
    every = [one for of_prompt in rounds for one in of_prompt]
    kinds = sorted({one.kind for one in every})
    rng = np.random.default_rng(seed)
    speedup = predicted_speedup_interval(
        np.array([float(sum(one.num_tokens for one in of)) for of in rounds]),
        np.array([[float(sum(one.kind == kind for one in of)) for kind in kinds] for of in rounds]),
        np.array([costs.of(kind) for kind in kinds]),
        np.stack([costs.draws(kind, NUM_DRAWS, rng) for kind in kinds]),
        num_timed=num_timed,
        seed=seed,
    )
    bounds = speedup.interval
    low, high = bounds[:2] if bounds else (0.0, math.inf)
    tokens = sum(one.num_tokens for one in every) / len(every)
    cost = sum(costs.of(one.kind) for one in every) / len(every)
    mean_v = sum(costs.v[one.kind.num_drafted] for one in every) / len(every)
    steps = sum(one.kind.num_model_steps for one in every) / len(every)
    return Prediction(
        speedup=speedup,
        verdict="pays" if low > 1.0 else "does_not_pay" if high < 1.0 else "undecided",
        speedup_by_length={str(one): found for one, found in sorted(by_length.items())},
        tokens_per_round=tokens,
        round_cost=cost,
        needed_c=_positive(costs.c + (tokens - cost) / steps) if steps else None,
        needed_v=_positive(mean_v + tokens - cost),
        mean_v=mean_v,
        oracle_bound=sum(one.num_tokens for one in every)
        / sum(costs.of(_without_waste(one)) for one in every),
    )


def _without_waste(one: Round) -> RoundKind:
    """The round with as many drafted tokens as will be accepted, and no more."""
    accepted = min(one.num_tokens - 1, one.kind.num_drafted)
    return RoundKind(accepted if one.kind.num_model_steps else 0, accepted)


def _overall(rounds: RoundsByPrompt, costs: RoundCosts) -> float:
    every = [one for of_prompt in rounds for one in of_prompt]
    return sum(one.num_tokens for one in every) / sum(costs.of(one.kind) for one in every)


def _survival(rounds: RoundsByPrompt, length: int) -> tuple[float, ...]:
    every = [one for of_prompt in rounds for one in of_prompt if one.kind.num_drafted]
    if not every:
        return (0.0,) * length
    return tuple(
        sum(one.num_tokens > position for one in every) / len(every)
        for position in range(1, length + 1)
    )


def _positive(value: float) -> float | None:
    return value if value > 0.0 else None

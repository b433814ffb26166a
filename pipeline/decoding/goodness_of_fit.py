"""Do sampled answers of an engine follow the target's own distribution?

Every drawn token becomes a number that is uniform on [0, 1) if it was drawn from the target's
distribution, whatever that is and whatever came before (`token_places`). So all tokens of all
answers are independent draws of one known law and are judged together, by chi-square over equal
cells.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from transformers import PreTrainedModel

from pipeline.contracts.sampling_test import SamplingTestDone, SamplingTestNotRun
from pipeline.decoding.base import Completion, Engine, SamplingParams
from pipeline.decoding.proposers.base import Proposer
from pipeline.decoding.token_places import token_places
from pipeline.errors import DecodingError
from pipeline.metrics.uniformity import chi_square_of_uniform

NUM_TOKENS = 512
"""Tokens to judge, at least: enough for 64 in each cell."""
NUM_CELLS = 8
NUM_PROMPTS = 4
"""The shortest prompts are answered, over and over: reading them is most of the work."""
TEMPERATURE = 1.0
LEVEL = 0.001


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """Sampled answers of one engine."""

    prompts: list[tuple[int, ...]]
    completions: list[Completion]
    params: SamplingParams


def draw(
    engine: Engine, prompts: Sequence[tuple[int, ...]], params: SamplingParams
) -> Drawn | SamplingTestNotRun:
    """Answers of `params.max_new_tokens` tokens each; stop tokens do not end them, so that how many
    are judged is known beforehand.

    Args:
        engine: Speculative.
        prompts: Of the benchmark, token ids.
        params: Of the benchmark; sampled here at `TEMPERATURE`.
    """
    per_answer = params.max_new_tokens - 1
    if per_answer < 1:
        return SamplingTestNotRun(reason="an answer of one token has none that can be drafted")
    shortest = sorted(prompts, key=len)[:NUM_PROMPTS]
    asked = [shortest[index % len(shortest)] for index in range(math.ceil(NUM_TOKENS / per_answer))]
    sampled = replace(params, temperature=TEMPERATURE, ignore_stop=True)
    try:
        completions = engine.generate(asked, sampled)
    except DecodingError as exc:
        if exc.code != "decode.unsupported_option":
            raise
        return SamplingTestNotRun(reason=str(exc))
    return Drawn(prompts=asked, completions=completions, params=sampled)


def judge(
    target: PreTrainedModel, proposer: Proposer | None, drawn: Drawn | SamplingTestNotRun
) -> SamplingTestDone | SamplingTestNotRun:
    """What the drawn tokens say of the engine that drew them.

    Args:
        target: Its distribution is the one that the tokens should follow.
        proposer: What drafted; None where it cannot be asked, and less is seen.
        drawn: What `draw` returned.
    """
    if isinstance(drawn, SamplingTestNotRun):
        return drawn
    counts = [one.speculation for one in drawn.completions if one.speculation]
    num_draft_tokens = sum(one.num_draft_tokens for one in counts)
    num_tokens = sum(len(one.token_ids) - 1 for one in drawn.completions)
    if not num_draft_tokens:
        return SamplingTestNotRun(reason=f"the arm drafted nothing in {num_tokens} tokens")
    chance = np.random.default_rng(drawn.params.seed)
    places = [
        place
        for prompt, one in zip(drawn.prompts, drawn.completions, strict=True)
        for place in token_places(target, proposer, prompt, one.token_ids, drawn.params, chance)
    ]
    statistic, p_value = chi_square_of_uniform(np.array(places), NUM_CELLS)
    return SamplingTestDone(
        verdict="inconsistent" if p_value < LEVEL else "consistent",
        num_answers=len(drawn.completions),
        num_tokens=num_tokens,
        num_draft_tokens=num_draft_tokens,
        num_accepted_tokens=sum(one.num_accepted_tokens for one in counts),
        temperature=drawn.params.temperature,
        num_cells=NUM_CELLS,
        chi_square=statistic,
        p_value=p_value,
        level=LEVEL,
    )

"""Whether a benchmark's arms on our own engines sample from the target's own distribution."""

import copy
from collections.abc import Mapping, Sequence

from transformers import PreTrainedModel

from pipeline.contracts.sampling_test import SamplingTestDone, SamplingTestNotRun
from pipeline.decoding.base import Engine, SamplingParams
from pipeline.decoding.goodness_of_fit import draw, judge
from pipeline.decoding.speculative import SpeculativeEngine
from pipeline.evaluation.decoding_benchmark import STARTS_OVER
from pipeline.evaluation.decoding_probe import Prompt
from pipeline.execution import RunContext

BATCH_SIZE = 8
"""Answers drawn at a time, for speed: the engine's rounds are those of one at a time."""


def judge_sampling(
    target: PreTrainedModel,
    engines: Mapping[str, Engine],
    prompts: Sequence[Prompt],
    params: SamplingParams,
    context: RunContext,
) -> dict[str, SamplingTestDone | SamplingTestNotRun]:
    """What sampled answers show of every engine that drafts, by its name.

    Args:
        target: Whose distribution counts.
        engines: Of the benchmark.
        prompts: Token ids.
        params: Of the benchmark; sampled here whatever its temperature.
        context: Told of the progress.
    """
    drafting = {
        name: engine for name, engine in engines.items() if isinstance(engine, SpeculativeEngine)
    }
    progress = context.progress("sample", total=len(drafting), unit="arms")
    found = {}
    for name, engine in drafting.items():
        wide = copy.copy(engine)
        wide.max_batch_size = BATCH_SIZE
        found[name] = judge(target, engine.proposer, draw(wide, prompts, params))
        progress.advance()
        context.raise_if_stopped(STARTS_OVER)
    return found

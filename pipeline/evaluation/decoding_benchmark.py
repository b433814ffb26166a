"""The arms of a decoding benchmark on our own engines: probed, then timed side by side."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from transformers import PreTrainedModel

from pipeline.contracts.decoding_results import StoreFigures
from pipeline.contracts.decoding_spec import AUTOREGRESSIVE, SpeculativeArm
from pipeline.decoding.answer_store import AnswerStore
from pipeline.decoding.arms import open_proposer
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import Completion, Engine, SamplingParams
from pipeline.decoding.cost_model import probe_costs
from pipeline.decoding.speculative import SpeculativeEngine
from pipeline.durable import write_bytes
from pipeline.evaluation.decoding_figures import Arm, Measurement
from pipeline.evaluation.decoding_probe import (
    NUM_TIMED_PROMPTS,
    Prompt,
    greedy_rounds,
    predict,
    sampled_rounds,
    timed_rounds,
)
from pipeline.execution import RunContext

MAX_PROBED_TOKENS = 8
WARM_UP_TOKENS = 8
STARTS_OVER = "stopped; a benchmark keeps no checkpoint, so it starts over when run again"


def probe_arms(
    target: PreTrainedModel,
    arms: Sequence[SpeculativeArm],
    prompts: Sequence[Prompt],
    params: SamplingParams,
    *,
    num_speculative_tokens: int | None,
    num_timed: int,
    context: RunContext,
) -> tuple[dict[str, Engine], dict[str, Arm]]:
    """An engine for each arm, the target alone first, and what the probe found of each.

    Args:
        target: The model whose output is wanted.
        arms: Ways of drafting for it.
        prompts: Token ids; none of those that will be timed, or the predictions are none.
        params: Of the benchmark.
        num_speculative_tokens: Draft length of every arm; None takes each arm's best.
        num_timed: Prompts that will be timed.
        context: Told of the progress.
    """
    proposers = {arm.name: open_proposer(arm, target) for arm in arms}
    lengths = (
        range(1, MAX_PROBED_TOKENS + 1)
        if num_speculative_tokens is None
        else (num_speculative_tokens,)
    )
    progress = context.progress("probe", total=1 + len(proposers), unit="arms")
    costs = probe_costs(
        target,
        proposers,
        context_length=max(len(prompt) for prompt in prompts) + params.max_new_tokens // 2,
        max_draft=max(MAX_PROBED_TOKENS, *lengths),
    )
    engines: dict[str, Engine] = {AUTOREGRESSIVE: AutoregressiveEngine(target)}
    found = {AUTOREGRESSIVE: Arm()}
    answers = {}
    if params.temperature == 0:
        completions = engines[AUTOREGRESSIVE].generate(prompts, params)
        answers = dict(zip(prompts, (one.token_ids for one in completions), strict=True))
    progress.advance()
    for name, proposer in proposers.items():
        is_greedy = params.temperature == 0
        timed_prompts = prompts[:NUM_TIMED_PROMPTS] if is_greedy else prompts
        timed = timed_rounds(target, proposer, timed_prompts, params, lengths)
        rounds = (
            greedy_rounds(target, proposer, answers, params, lengths)
            if is_greedy
            else sampled_rounds(timed, lengths)
        )
        probed = predict(
            costs[name],
            [one for of_prompt in timed for one in of_prompt],
            rounds,
            num_timed=num_timed,
            seed=params.seed,
        )
        length = probed.num_speculative_tokens
        engines[name] = SpeculativeEngine(target, proposer, num_speculative_tokens=length)
        found[name] = Arm(
            num_speculative_tokens=length,
            costs=probed.costs,
            survival=probed.survival,
            num_parameters=sum(model.num_parameters() for model in proposer.models) or None,
            prediction=probed.prediction,
            store=_store_figures(proposer.answer_store),
        )
        progress.advance()
        context.raise_if_stopped(STARTS_OVER)
    return engines, found


def write_predictions(arms: Mapping[str, Arm], path: Path) -> None:
    """`path` holds what was predicted of each arm: written before anything is timed."""
    predictions = {
        name: arm.prediction.model_dump()
        for name, arm in arms.items()
        if arm.prediction is not None
    }
    write_bytes(path, json.dumps(predictions, indent=1).encode())


def _store_figures(store: AnswerStore | None) -> StoreFigures | None:
    if store is None:
        return None
    return StoreFigures(
        num_answers=store.num_answers,
        num_tokens=store.num_tokens,
        num_bytes=store.num_bytes,
        build_seconds=store.build_seconds,
    )


def measure_interleaved(
    engines: Mapping[str, Engine],
    prompts: Sequence[Prompt],
    params: SamplingParams,
    *,
    num_repeats: int,
    context: RunContext,
) -> dict[str, Measurement]:
    """Each repeat visits every prompt with every arm, in an order that rotates."""
    names = list(engines)
    progress = context.progress(
        "bench", total=num_repeats * len(prompts) * len(names), unit="answers"
    )
    for engine in engines.values():  # caches, allocator and kernels are warm before any timing
        engine.generate(prompts[:1], replace(params, max_new_tokens=WARM_UP_TOKENS))
    completions: dict[str, list[list[Completion]]] = {name: [[] for _ in prompts] for name in names}
    for repeat in range(num_repeats):
        for index, prompt in enumerate(prompts):
            shift = (repeat + index) % len(names)
            for name in names[shift:] + names[:shift]:
                (completion,) = engines[name].generate([prompt], params)
                completions[name][index].append(completion)
                progress.advance()
                context.raise_if_stopped(STARTS_OVER)
    return {name: Measurement(completions=completions[name]) for name in names}

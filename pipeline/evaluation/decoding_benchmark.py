"""The arms of a decoding benchmark on our own engines: probed, then timed side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from transformers import PreTrainedModel

from pipeline.contracts.decoding_spec import AUTOREGRESSIVE, SpeculativeArm
from pipeline.decoding.arms import open_proposer
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import Completion, Engine, SamplingParams
from pipeline.decoding.cost_model import choose_draft_length, probe_costs, with_overhead
from pipeline.decoding.speculative import SpeculativeEngine
from pipeline.evaluation.decoding_figures import Arm, Measurement, survival_of
from pipeline.execution import RunContext

MAX_PROBED_TOKENS = 8
PROBE_NEW_TOKENS = 48
WARM_UP_TOKENS = 8
STARTS_OVER = "stopped; a benchmark keeps no checkpoint, so it starts over when run again"

Prompt = tuple[int, ...]


def probe_arms(
    target: PreTrainedModel,
    arms: Sequence[SpeculativeArm],
    prompts: Sequence[Prompt],
    params: SamplingParams,
    *,
    num_speculative_tokens: int | None,
    context: RunContext,
) -> tuple[dict[str, Engine], dict[str, Arm]]:
    """An engine for each arm, the target alone first, and what the probe found of each.

    Args:
        target: The model whose output is wanted.
        arms: Ways of drafting for it.
        prompts: Token ids; their answers give each arm's acceptance before anything is timed.
        params: Of the benchmark.
        num_speculative_tokens: Draft length of every arm; None takes each arm's best by its costs.
        context: Told of the progress.
    """
    proposers = {arm.name: open_proposer(arm, target) for arm in arms}
    progress = context.progress("probe", total=len(proposers), unit="arms")
    probed = probe_costs(
        target,
        {name: proposer.step_model for name, proposer in proposers.items()},
        context_length=max(len(prompt) for prompt in prompts) + params.max_new_tokens // 2,
        # A longer draft that was asked for needs its costs too.
        max_draft=max(MAX_PROBED_TOKENS, num_speculative_tokens or 0),
    )
    short = replace(params, max_new_tokens=min(PROBE_NEW_TOKENS, params.max_new_tokens))
    engines: dict[str, Engine] = {AUTOREGRESSIVE: AutoregressiveEngine(target)}
    found = {AUTOREGRESSIVE: Arm()}
    for name, proposer in proposers.items():
        longest = SpeculativeEngine(target, proposer, num_speculative_tokens=MAX_PROBED_TOKENS)
        completions = longest.generate(prompts, short)
        survival = survival_of(completions) or (0.0,) * MAX_PROBED_TOKENS
        costs = with_overhead(probed[name], completions)
        length = num_speculative_tokens or choose_draft_length(survival, costs)
        engines[name] = SpeculativeEngine(target, proposer, num_speculative_tokens=length)
        found[name] = Arm(
            num_speculative_tokens=length,
            costs=costs,
            survival=survival,
            num_parameters=sum(model.num_parameters() for model in proposer.models) or None,
        )
        progress.advance()
        context.raise_if_stopped(STARTS_OVER)
    return engines, found


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

"""What a round of speculation costs on this machine, and which draft length pays best.

All costs are in target steps: one forward pass of the target over one new token at the same context
length. `pipeline.metrics.speculation` has the formulas that use them.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence

import torch
from transformers import PreTrainedModel

from pipeline.contracts.decoding_results import DecodingCosts
from pipeline.decoding.base import Completion
from pipeline.decoding.batching import read_clock
from pipeline.decoding.linear import fast_small_batch_linear
from pipeline.decoding.runner import Runner, open_runner
from pipeline.metrics.speculation import mean_round_cost, predicted_speedup

NUM_TIMINGS = 25


def probe_costs(
    target: PreTrainedModel,
    drafts: Mapping[str, PreTrainedModel | None],
    *,
    context_length: int,
    max_draft: int,
) -> dict[str, DecodingCosts]:
    """Medians of interleaved timings at one context length; `h` is 0 until `with_overhead`.

    The models run as the engines run them: same cache, same linear layers, argmax included. The
    target is timed once for all drafts, so that they differ by c alone.

    Args:
        target: The model whose output is wanted.
        drafts: Draft models by name; None for a draft that costs nothing to speak of (n-gram
            lookup).
        context_length: Tokens in the caches while timing, at least 1.
        max_draft: Longest draft, the G of v(0) .. v(G).
    """
    prompt = [token % target.config.vocab_size for token in range(context_length)]
    capacity = context_length + max_draft + 1
    models = {name: draft for name, draft in drafts.items() if draft is not None}
    timers: dict[tuple[str, int], Callable[[], float]] = {}
    with torch.inference_mode(), fast_small_batch_linear(target, *models.values()):
        runner = open_runner(target, batch_size=1, capacity=capacity)
        runner.prefill([prompt])
        for num_rows in range(1, max_draft + 2):
            timers["", num_rows] = _step_timer(runner, num_rows)
        for name, draft in models.items():
            drafter = open_runner(draft, batch_size=1, capacity=capacity)
            drafter.prefill([prompt])
            timers[name, 1] = _step_timer(drafter, 1)
        seconds: dict[tuple[str, int], list[float]] = {key: [] for key in timers}
        for timing in range(NUM_TIMINGS + 1):
            for key, time_step in timers.items():
                elapsed = time_step()
                if timing > 0:  # the first one warms caches and kernels
                    seconds[key].append(elapsed)
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    step = medians["", 1]
    return {
        name: DecodingCosts(
            c=medians[name, 1] / step if name in models else 0.0,
            v=tuple(medians["", num_rows] / step for num_rows in range(1, max_draft + 2)),
            h=0.0,
            target_step_seconds=step,
        )
        for name in drafts
    }


def with_overhead(costs: DecodingCosts, completions: Sequence[Completion]) -> DecodingCosts:
    """`costs` with the h that the rounds of these answers took beyond their `mean_round_cost`.

    Never negative; without a round h stays.
    """
    stats = [one.speculation for one in completions if one.speculation is not None]
    num_rounds = sum(one.num_target_steps for one in stats)
    if not num_rounds:
        return costs
    round_seconds = sum(one.decode_seconds for one in completions) / num_rounds
    modelled = mean_round_cost(
        num_rounds,
        sum(one.num_drafts for one in stats),
        sum(one.num_draft_tokens for one in stats),
        costs.c,
        costs.v,
    )
    return costs.model_copy(
        update={"h": max(0.0, round_seconds / costs.target_step_seconds - modelled)}
    )


def choose_draft_length(survival: Sequence[float], costs: DecodingCosts) -> int:
    """The draft length with the best predicted speedup, at least 1, the shortest of equals.

    Args:
        survival: S_1 .. S_G, the probability that the first i drafted tokens are all accepted.
        costs: v(0) .. v(G) and the others.
    """
    lengths = range(1, min(len(survival), len(costs.v) - 1) + 1)
    return max(
        lengths,
        key=lambda g: (predicted_speedup(survival, costs.c, costs.v, costs.h, g), -g),
    )


def _step_timer(runner: Runner, num_rows: int) -> Callable[[], float]:
    inputs = torch.zeros((1, num_rows), dtype=torch.long, device=runner.device)

    def time_step() -> float:
        before = runner.cache.lengths
        started = read_clock(runner.device)
        runner.forward(inputs, num_logits=num_rows).argmax(-1)
        elapsed = read_clock(runner.device) - started
        runner.cache.roll_back(before)
        return elapsed

    return time_step

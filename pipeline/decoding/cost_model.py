"""What the parts of a round of speculation cost on this machine.

All costs are in target steps: one forward pass of the target over one new token at the same context
length. `pipeline.metrics.speculation` has the formulas that use them, `round_costs` whole rounds.
"""

import statistics
from collections.abc import Callable, Mapping

import torch
from transformers import PreTrainedModel

from pipeline.contracts.decoding_results import DecodingCosts
from pipeline.decoding.batching import read_clock
from pipeline.decoding.linear import fast_small_batch_linear
from pipeline.decoding.proposers.base import Proposer
from pipeline.decoding.runner import Runner, open_runner

NUM_TIMINGS = 25


def probe_costs(
    target: PreTrainedModel,
    proposers: Mapping[str, Proposer],
    *,
    context_length: int,
    max_draft: int,
) -> dict[str, DecodingCosts]:
    """Medians of interleaved timings at one context length; `h` is 0, `RoundCosts` measures it.

    The models run as the engines run them: same cache, same linear layers, argmax included. The
    target is timed once for all drafts, so that they differ by c alone.

    Args:
        target: The model whose output is wanted.
        proposers: Ways of drafting by name; c is 0 without a `step_model`.
        context_length: Tokens in the caches while timing, at least 1.
        max_draft: Longest draft, the G of v(0) .. v(G).
    """
    prompt = [token % target.config.vocab_size for token in range(context_length)]
    capacity = context_length + max_draft + 1
    models = {
        name: (one.step_model, one.output_ids)
        for name, one in proposers.items()
        if one.step_model is not None
    }
    drafts = [draft for draft, _output_ids in models.values()]
    timers: dict[tuple[str, int], Callable[[], float]] = {}
    with torch.inference_mode(), fast_small_batch_linear(target, *drafts):
        runner = open_runner(target, batch_size=1, capacity=capacity)
        runner.prefill([prompt])
        for num_rows in range(1, max_draft + 2):
            timers["", num_rows] = _step_timer(runner, num_rows)
        for name, (draft, output_ids) in models.items():
            drafter = open_runner(draft, batch_size=1, capacity=capacity, output_ids=output_ids)
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
        for name in proposers
    }


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

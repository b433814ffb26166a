"""The arms of a decoding benchmark on vLLM, one engine after another.

Two engines cannot share a GPU's memory without changing each other's batch, so arms are not
interleaved. The cost of a step cannot be probed from outside: c, v and h stay absent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.contracts.decoding_spec import AUTOREGRESSIVE, SpeculativeArm
from pipeline.contracts.sampling_test import SamplingTestNotRun
from pipeline.decoding.base import Completion, SamplingParams
from pipeline.decoding.goodness_of_fit import Drawn, draw
from pipeline.decoding.vllm_engine import VllmEngine
from pipeline.decoding.vllm_options import speculative_config
from pipeline.evaluation.decoding_benchmark import STARTS_OVER, WARM_UP_TOKENS
from pipeline.evaluation.decoding_figures import Arm, Measurement
from pipeline.evaluation.decoding_gate import BATCH_SIZE
from pipeline.evaluation.decoding_probe import Prompt
from pipeline.execution import RunContext

DEFAULT_DRAFT_LENGTH = 3
"""Without costs no length can be chosen by them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VllmMeasurements:
    """What the engines produced before they were closed, by arm, the target alone first."""

    arms: dict[str, Arm]
    measured: dict[str, Measurement]
    batched: list[Completion]
    """The target's answers to `BATCH_SIZE` prompts at a time."""
    drawn: dict[str, Drawn | SamplingTestNotRun]
    """Sampled answers of every arm that drafts, where answers were chosen greedily."""


def measure_on_vllm(
    target: Path,
    arms: Sequence[SpeculativeArm],
    prompts: Sequence[Prompt],
    params: SamplingParams,
    *,
    dtype: str,
    num_speculative_tokens: int | None,
    num_repeats: int,
    context: RunContext,
) -> VllmMeasurements:
    """Every arm answered every prompt `num_repeats` times, batch 1.

    Args:
        target: Directory of the model whose output is wanted.
        arms: Ways of drafting for it.
        prompts: Token ids.
        params: How to choose tokens.
        dtype: Number format of all models.
        num_speculative_tokens: Draft length of every arm; None takes `DEFAULT_DRAFT_LENGTH`.
        num_repeats: Answers of each arm to each prompt.
        context: Told of the progress.

    Raises:
        DecodingError: as `VllmEngine`; an arm vLLM cannot run is refused before any engine starts.
    """
    length = num_speculative_tokens or DEFAULT_DRAFT_LENGTH
    for one in arms:
        speculative_config(target, one, length)
    found = {AUTOREGRESSIVE: Arm()} | {one.name: Arm(num_speculative_tokens=length) for one in arms}
    measured: dict[str, Measurement] = {}
    batched: list[Completion] = []
    drawn: dict[str, Drawn | SamplingTestNotRun] = {}
    progress = context.progress("bench", total=len(found), unit="arms")
    for arm in (None, *arms):
        name = AUTOREGRESSIVE if arm is None else arm.name
        engine = VllmEngine(
            target,
            arm=arm,
            num_speculative_tokens=None if arm is None else length,
            dtype=dtype,
            seed=params.seed,
        )
        try:
            engine.generate(prompts[:1], replace(params, max_new_tokens=WARM_UP_TOKENS))
            measured[name] = Measurement(
                completions=[
                    [engine.generate([prompt], params)[0] for _ in range(num_repeats)]
                    for prompt in prompts
                ]
            )
            if arm is None:
                for start in range(0, len(prompts), BATCH_SIZE):
                    batched += engine.generate(prompts[start : start + BATCH_SIZE], params)
            elif params.temperature == 0:
                drawn[name] = draw(engine, prompts, params)
        finally:
            engine.close()
        progress.advance()
        context.raise_if_stopped(STARTS_OVER)
    return VllmMeasurements(arms=found, measured=measured, batched=batched, drawn=drawn)

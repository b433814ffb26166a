"""Measure speculative decoding against the target alone: predicted, gated, interleaved.

    probe    costs c, v(g), h of each arm, and its acceptance on prompts that are not timed
    bench    every arm decodes every prompt, interleaved over the repeats, batch 1
    gate     every arm's tokens are the target's own, or the run is not lossless

Results: `contracts.decoding_results.SpeculativeDecodeResults`; `docs/decoding.md` defines
each figure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contracts.decoding_results import LosslessnessResults, SpeculativeDecodeResults
from pipeline.contracts.decoding_spec import AUTOREGRESSIVE, DraftModelArm, SpeculativeDecodeSpec
from pipeline.data.datasets import read_rows
from pipeline.data.records import DomainItem, Message
from pipeline.data.tokenize import ChatFormat, stop_token_ids
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.engines import choose_engine
from pipeline.decoding.losslessness import check_greedy_losslessness
from pipeline.decoding.vllm_engine import VllmEngine
from pipeline.errors import DataError, DecodingError
from pipeline.evaluation.decoding_benchmark import (
    STARTS_OVER,
    Prompt,
    measure_interleaved,
    probe_arms,
)
from pipeline.evaluation.decoding_figures import Arm, Measurement, arm_figures
from pipeline.execution import RecipeResult, RunContext
from pipeline.modeling.device import choose_device
from pipeline.modeling.loading import load_model, load_tokenizer, require_same_vocabulary
from pipeline.provenance import checked_model

PROBE_PROMPTS = 2
DEFAULT_VLLM_DRAFT_LENGTH = 3
"""Where the engine's step costs cannot be probed from outside."""


def run(spec: SpeculativeDecodeSpec, context: RunContext) -> RecipeResult:
    """Every arm was timed on the same prompts; a stop request ends the run, which starts over."""
    with context.stop.raising(STARTS_OVER):
        return _run(spec, context)


def _run(spec: SpeculativeDecodeSpec, context: RunContext) -> RecipeResult:
    device = choose_device(spec.device)
    engine_name = choose_engine(spec.engine, device)
    target_path, target_digest = checked_model(spec.target)
    inputs = {"target": target_digest}
    for index, arm in enumerate(spec.arms):
        for field, reference in arm.references().items():
            path, inputs[f"arms.{index}.{field}"] = checked_model(reference)
            require_same_vocabulary(target_path, path)
    tokenizer = load_tokenizer(target_path)
    prompts = _prompts(spec, tokenizer)
    timed, probed = prompts[: spec.num_prompts], prompts[spec.num_prompts :][:PROBE_PROMPTS]
    params = SamplingParams(
        max_new_tokens=spec.max_new_tokens,
        temperature=spec.temperature,
        seed=spec.seed,
        stop_token_ids=stop_token_ids(tokenizer),
    )
    if engine_name == "vllm":
        arms, measured = _measure_vllm(spec, target_path, timed, params, context)
        losslessness = None
        context.warn(
            "decode.not_gated",
            "vLLM's arms ran one after another and their tokens were not compared with float64 "
            "logits; use engine: torch for the losslessness gate",
        )
    else:
        dtype = getattr(torch, spec.dtype)
        target = load_model(target_path, dtype=dtype, device=device)
        engines, arms = probe_arms(
            target,
            spec.arms,
            probed or timed,
            params,
            num_speculative_tokens=spec.num_speculative_tokens,
            context=context,
        )
        measured = measure_interleaved(
            engines, timed, params, num_repeats=spec.num_repeats, context=context
        )
        losslessness = _gate(spec, target, measured, timed, params)
    if losslessness is not None and not losslessness.is_lossless:
        context.warn(
            "decode.not_lossless",
            "an arm's tokens differ from the target's own beyond rounding, so its speedup buys "
            "another answer; report.json lists the prompts under losslessness",
        )
    results = SpeculativeDecodeResults(
        arms={
            name: arm_figures(arms[name], measured[name], measured[AUTOREGRESSIVE], seed=spec.seed)
            for name in arms
        },
        losslessness=losslessness,
        num_prompts=len(timed),
        num_repeats=spec.num_repeats,
        engine=engine_name,
        interleaved=engine_name != "vllm",
        headline_arm=spec.arms[0].name,
    )
    return RecipeResult(
        results=results,
        inputs=inputs,
        definitions={"speedup": "decode seconds, median over prompts and repeats, batch 1"},
    )


def _prompts(spec: SpeculativeDecodeSpec, tokenizer: PreTrainedTokenizerBase) -> list[Prompt]:
    """The timed prompts first, spread over the file; the rest can be probed."""
    items = read_rows(spec.prompts, DomainItem)
    if len(items) < spec.num_prompts:
        raise DataError(
            "data.empty",
            f"the benchmark needs {spec.num_prompts} prompts and its data set has {len(items)}; "
            "lower num_prompts or choose a larger data set",
        )
    chosen = [index * len(items) // spec.num_prompts for index in range(spec.num_prompts)]
    others = [index for index in range(len(items)) if index not in chosen]
    chat = ChatFormat(tokenizer)
    return [
        tuple(chat.prompt((Message(role="user", content=items[index].prompt),)))
        for index in [*chosen, *others]
    ]


def _measure_vllm(
    spec: SpeculativeDecodeSpec,
    target_path: Path,
    prompts: Sequence[Prompt],
    params: SamplingParams,
    context: RunContext,
) -> tuple[dict[str, Arm], dict[str, Measurement]]:
    """One engine at a time: two cannot share a GPU's memory without changing each other's batch."""
    length = spec.num_speculative_tokens or DEFAULT_VLLM_DRAFT_LENGTH
    arms: dict[str, Arm] = {}
    measured: dict[str, Measurement] = {}
    draft_paths: dict[str, Path | None] = {AUTOREGRESSIVE: None}
    for arm in spec.arms:
        if not isinstance(arm, DraftModelArm):
            raise DecodingError(
                "decode.unsupported_option",
                f"arm {arm.name!r}: the engine 'vllm' cannot draft by {arm.method!r}; leave the "
                "arm out, or use engine: torch",
            )
        draft_paths[arm.name] = Path(arm.model.resolved_path)
    progress = context.progress("bench", total=len(draft_paths), unit="arms")
    for name, draft_path in draft_paths.items():
        engine = VllmEngine(
            target_path,
            draft_path=draft_path,
            num_speculative_tokens=None if draft_path is None else length,
            dtype=spec.dtype,
            seed=spec.seed,
        )
        try:
            engine.generate(prompts[:1], replace(params, max_new_tokens=8))
            completions = [
                [engine.generate([prompt], params)[0] for _ in range(spec.num_repeats)]
                for prompt in prompts
            ]
        finally:
            engine.close()
        arms[name] = Arm(num_speculative_tokens=None if draft_path is None else length)
        measured[name] = Measurement(completions=completions)
        progress.advance()
        context.raise_if_stopped(STARTS_OVER)
    return arms, measured


def _gate(
    spec: SpeculativeDecodeSpec,
    target: PreTrainedModel,
    measured: Mapping[str, Measurement],
    prompts: Sequence[Prompt],
    params: SamplingParams,
) -> LosslessnessResults | None:
    """Greedy outputs of all arms against the target's own; None for sampled decoding."""
    if spec.temperature > 0:
        return None
    reference = [one.token_ids for one in measured[AUTOREGRESSIVE].first()]
    results = {
        name: check_greedy_losslessness(
            target,
            prompts,
            reference,
            [one.token_ids for one in measurement.first()],
        )
        for name, measurement in measured.items()
        if name != AUTOREGRESSIVE
    }
    batched = AutoregressiveEngine(target, max_batch_size=8).generate(prompts, params)
    null = check_greedy_losslessness(target, prompts, reference, [one.token_ids for one in batched])
    return LosslessnessResults(
        is_lossless=all(result.is_lossless for result in results.values()),
        arms=results,
        autoregressive_batch_1_vs_8=null,
    )

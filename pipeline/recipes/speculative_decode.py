"""Measure speculative decoding against the target alone: predicted, gated, interleaved.

    probe    whole rounds of each arm beside plain steps, and its acceptance, on prompts that are
             not timed: a prediction with an interval, written before anything is timed
    bench    every arm decodes every prompt, interleaved over the repeats, batch 1
    gate     every arm's tokens are the target's own, or the run is not lossless
             sampled answers follow the target's distribution
    certify  what was compared and how it came out, as one file for each arm

Results: `contracts.decoding_results.SpeculativeDecodeResults`; `docs/decoding.md` defines
each figure.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from pipeline.contracts.decoding_results import SpeculativeDecodeResults
from pipeline.contracts.decoding_spec import AUTOREGRESSIVE, SpeculativeDecodeSpec
from pipeline.contracts.references import Reference
from pipeline.data.datasets import dataset_digest, read_rows
from pipeline.data.records import DomainItem
from pipeline.data.tokenize import ChatFormat, stop_token_ids
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.certificate import CERTIFICATES_NAME, write_certificates
from pipeline.decoding.engines import choose_engine
from pipeline.decoding.goodness_of_fit import judge
from pipeline.decoding.runner import describe_path, misses_kernel
from pipeline.decoding.vllm_serve import serve_commands
from pipeline.errors import DataError
from pipeline.evaluation.decoding_benchmark import (
    STARTS_OVER,
    measure_interleaved,
    probe_arms,
    write_predictions,
)
from pipeline.evaluation.decoding_figures import Arm, Benchmark, arm_figures
from pipeline.evaluation.decoding_gate import BATCH_SIZE, judge_losslessness
from pipeline.evaluation.decoding_probe import Prompt
from pipeline.evaluation.sampling_gate import judge_sampling
from pipeline.evaluation.vllm_benchmark import measure_on_vllm
from pipeline.execution import RecipeResult, RunContext
from pipeline.modeling.device import choose_device
from pipeline.modeling.inspection import inspect_model_directory
from pipeline.modeling.loading import load_model, load_tokenizer, require_same_vocabulary
from pipeline.provenance import checked_model


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
            if reference.takes == Reference.takes:
                require_same_vocabulary(target_path, path)
                _warn_of_larger(path, target_path, arm.name, context)
    inputs["prompts"] = dataset_digest(Path(spec.prompts.resolved_path))
    tokenizer = load_tokenizer(target_path)
    timed, probed = _prompts(spec, tokenizer)
    params = _sampling(spec, tokenizer)
    if engine_name == "vllm":
        benchmark = _on_vllm(spec, target_path, timed, params, device=device, context=context)
    else:
        benchmark = _on_torch(
            spec, target_path, timed, probed, params, device=device, context=context
        )
    _warn(benchmark, context)
    measured = benchmark.measured
    figures = {
        name: arm_figures(arm, measured[name], measured[AUTOREGRESSIVE], seed=spec.seed)
        for name, arm in benchmark.arms.items()
    }
    results = SpeculativeDecodeResults(
        arms=figures,
        losslessness=benchmark.losslessness,
        num_prompts=len(timed),
        num_repeats=spec.num_repeats,
        engine=engine_name,
        interleaved=engine_name != "vllm",
        headline_arm=spec.arms[0].name,
        serve_commands=serve_commands(target_path, spec.arms, figures, dtype=spec.dtype),
    )
    directory = context.run_dir / CERTIFICATES_NAME
    certificates = write_certificates(
        directory,
        spec,
        results,
        timed,
        sampling=benchmark.sampling,
        inputs=inputs,
        device=device,
        decoding=benchmark.decoding,
        spec_digest=context.spec_digest,
    )
    return RecipeResult(
        results=results.model_copy(update={"certificates": certificates}),
        outputs={CERTIFICATES_NAME: directory} if certificates else {},
        inputs=inputs,
        definitions={
            "speedup": "decode seconds, median over prompts and repeats, batch 1",
            "decoding": benchmark.decoding,
        },
    )


def _on_torch(
    spec: SpeculativeDecodeSpec,
    target_path: Path,
    prompts: Sequence[Prompt],
    probed: Sequence[Prompt],
    params: SamplingParams,
    *,
    device: str,
    context: RunContext,
) -> Benchmark:
    target = load_model(target_path, dtype=getattr(torch, spec.dtype), device=device)
    decoding = describe_path(target)
    if misses_kernel(target):
        context.warn(
            "decode.kernel_missing",
            "the kernel for decoding on CPUs was not built, so transformers' slower forward pass "
            "is measured; install g++ and run `make setup` again",
        )
    engines, arms = probe_arms(
        target,
        spec.arms,
        probed or prompts,
        params,
        num_speculative_tokens=spec.num_speculative_tokens,
        num_timed=len(prompts),
        context=context,
    )
    if not probed:
        arms = {name: replace(arm, prediction=None) for name, arm in arms.items()}
        context.warn(
            "decode.not_predicted",
            f"all {len(prompts)} prompts are timed, so none is left to predict from; draft lengths "
            "were chosen on the timed prompts. Lower num_prompts or choose a larger data set",
        )
    write_predictions(arms, context.run_dir / "predictions.json")
    measured = measure_interleaved(
        engines, prompts, params, num_repeats=spec.num_repeats, context=context
    )
    if spec.temperature > 0:
        return Benchmark(arms=arms, measured=measured, decoding=decoding)
    batched = AutoregressiveEngine(target, max_batch_size=BATCH_SIZE).generate(prompts, params)
    return Benchmark(
        arms=arms,
        measured=measured,
        losslessness=judge_losslessness(target, prompts, measured, batched),
        sampling=judge_sampling(target, engines, prompts, params, context),
        decoding=decoding,
    )


def probe(spec: SpeculativeDecodeSpec, context: RunContext) -> dict[str, Arm]:
    """What a benchmark of `spec` on our own engines would predict of each arm; nothing is timed
    but the rounds of the probe.

    Raises:
        DataError: `data.empty`, no prompt is left besides those that would be timed.
    """
    target_path, _ = checked_model(spec.target)
    tokenizer = load_tokenizer(target_path)
    timed, probed = _prompts(spec, tokenizer)
    if not probed:
        raise DataError(
            "data.empty",
            f"all {len(timed)} prompts would be timed, so none is left to predict from; lower "
            "num_prompts or choose a larger data set",
        )
    target = load_model(
        target_path, dtype=getattr(torch, spec.dtype), device=choose_device(spec.device)
    )
    _, arms = probe_arms(
        target,
        spec.arms,
        probed,
        _sampling(spec, tokenizer),
        num_speculative_tokens=spec.num_speculative_tokens,
        num_timed=len(timed),
        context=context,
    )
    return arms


def _sampling(spec: SpeculativeDecodeSpec, tokenizer: PreTrainedTokenizerBase) -> SamplingParams:
    return SamplingParams(
        max_new_tokens=spec.max_new_tokens,
        temperature=spec.temperature,
        seed=spec.seed,
        stop_token_ids=stop_token_ids(tokenizer),
    )


def _on_vllm(
    spec: SpeculativeDecodeSpec,
    target_path: Path,
    prompts: Sequence[Prompt],
    params: SamplingParams,
    *,
    device: str,
    context: RunContext,
) -> Benchmark:
    found = measure_on_vllm(
        target_path,
        spec.arms,
        prompts,
        params,
        dtype=spec.dtype,
        num_speculative_tokens=spec.num_speculative_tokens,
        num_repeats=spec.num_repeats,
        context=context,
    )
    if spec.temperature > 0:
        return Benchmark(arms=found.arms, measured=found.measured, decoding="vllm")
    # vLLM has no float64: transformers judges, now that the engines have returned the memory.
    target = load_model(target_path, dtype=getattr(torch, spec.dtype), device=device)
    return Benchmark(
        arms=found.arms,
        measured=found.measured,
        losslessness=judge_losslessness(target, prompts, found.measured, found.batched),
        sampling={name: judge(target, None, drawn) for name, drawn in found.drawn.items()},
        decoding="vllm",
    )


def _warn(benchmark: Benchmark, context: RunContext) -> None:
    """A person is told what the speedups do not say themselves."""
    if benchmark.losslessness is None:
        context.warn(
            "decode.not_gated",
            "the answers were sampled, so the arms' tokens were not compared with the target's "
            "own; measure at temperature 0 for the losslessness gate",
        )
    elif not benchmark.losslessness.is_lossless:
        context.warn(
            "decode.not_lossless",
            "an arm's tokens differ from the target's own beyond rounding, so its speedup buys "
            "another answer; report.json counts such prompts under losslessness",
        )
    for name, tested in benchmark.sampling.items():
        if tested.verdict == "inconsistent":
            context.warn(
                "decode.sampling_inconsistent",
                f"arm {name!r}: sampled tokens do not follow the target's distribution "
                f"(p {tested.p_value:.1e}; a right engine is below {tested.level:g} once in "
                f"{1 / tested.level:.0f} runs), so do not sample with this arm",
            )


def _warn_of_larger(draft: Path, target: Path, arm: str, context: RunContext) -> None:
    drafts, decodes = (inspect_model_directory(path).num_parameters for path in (draft, target))
    if drafts > decodes:
        context.warn(
            "decode.draft_larger",
            f"arm {arm!r}: the draft has {drafts:,} parameters and the target {decodes:,}, so it "
            "cannot pay; use a smaller draft",
        )


def _prompts(
    spec: SpeculativeDecodeSpec, tokenizer: PreTrainedTokenizerBase
) -> tuple[list[Prompt], list[Prompt]]:
    """(timed, probed) prompts: the timed ones spread over the file, the others over the rest."""
    items = read_rows(spec.prompts, DomainItem)
    if len(items) < spec.num_prompts:
        raise DataError(
            "data.empty",
            f"the benchmark needs {spec.num_prompts} prompts and its data set has {len(items)}; "
            "lower num_prompts or choose a larger data set",
        )
    # What is timed does not depend on what is probed: certificates name the timed prompts alone.
    timed_places = _spread(range(len(items)), spec.num_prompts)
    rest = sorted(set(range(len(items))) - set(timed_places))
    chat = ChatFormat(tokenizer)
    timed, apart = (
        [tuple(chat.prompt(items[index].prompt_messages())) for index in chosen]
        for chosen in (
            timed_places,
            _spread(rest, min(spec.num_probe_prompts, len(rest))),
        )
    )
    return timed, apart


def _spread(places: Sequence[int], number: int) -> list[int]:
    return [places[index * len(places) // number] for index in range(number)]

"""Measure a checkpoint: domain answers, general ability, and text the base wrote.

Results: `contracts.evaluation_results.EvaluateResults` (`docs/metrics.md` defines each figure).
Outputs: `samples` (samples.parquet), `gauge_texts` and `gauge_scores` (gauge_texts.jsonl,
gauge_scores.jsonl), `benchmark_samples` (benchmark_samples.jsonl), `harness_samples`
(harness_samples.jsonl).
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contracts.evaluation_results import (
    BenchmarkResults,
    EvaluateResults,
    FlipNull,
    RetentionByScore,
    RetentionResults,
    TextOverlapResults,
)
from pipeline.contracts.evaluation_spec import EvaluateSpec, GaugeSettings, GeneralAbilitySettings
from pipeline.contracts.gauge_results import GaugeResults, GaugeScore
from pipeline.contracts.harness_tasks import HarnessTaskResults
from pipeline.data.datasets import read_rows
from pipeline.data.records import Document, DomainItem, MultipleChoiceItem
from pipeline.decoding.engines import choose_engine, open_engine
from pipeline.decoding.runner import describe_path
from pipeline.evaluation import general_ability, language_modeling, reference_likelihood
from pipeline.evaluation.answer_cap import answer_cap, warn_of_cut_answers
from pipeline.evaluation.benchmarks import (
    benchmark_results,
    evaluate_benchmark,
    write_benchmark_samples,
)
from pipeline.evaluation.flip_nulls import answer_again, read_flip_nulls
from pipeline.evaluation.general_ability import ChoiceResult, choice_figures, evaluate_choices
from pipeline.evaluation.generation import STARTS_OVER, answer_items, text_overlap_results
from pipeline.evaluation.installed_tasks import find_task, run_task, write_task_samples
from pipeline.evaluation.language_modeling import (
    GaugeText,
    read_gauge_texts,
    sample_gauge_texts,
    score_gauge_texts,
    write_gauge_scores,
    write_gauge_texts,
)
from pipeline.evaluation.overlap_comparison import compare_overlap
from pipeline.evaluation.reference_likelihood import score_references, with_reference_scores
from pipeline.evaluation.retention_pairs import retention_items
from pipeline.evaluation.samples import (
    AnswerSample,
    SecondAnswers,
    read_samples,
    write_samples,
)
from pipeline.evaluation.several_answers import with_one_answer
from pipeline.execution import RecipeResult, RunContext
from pipeline.metrics.gauge import summarize_gauge
from pipeline.metrics.retention import measure_retention
from pipeline.modeling.device import choose_device
from pipeline.modeling.inspection import inspect_model_directory
from pipeline.modeling.loading import load_model, load_tokenizer, require_same_vocabulary
from pipeline.provenance import checked_model

Row = dict[str, object]


def run(spec: EvaluateSpec, context: RunContext) -> RecipeResult:
    """The model's figures; a stop request ends the run, which then starts over."""
    with context.stop.raising(STARTS_OVER):
        return _run(spec, context)


def _run(spec: EvaluateSpec, context: RunContext) -> RecipeResult:
    model_path, model_digest = checked_model(spec.model)
    base_path, base_digest = checked_model(spec.base)
    require_same_vocabulary(base_path, model_path)
    for named in spec.harness_tasks:
        find_task(named.task)  # a name that is none is told before hours of answers
    tokenizer = load_tokenizer(model_path)
    device = choose_device(spec.device)
    engine_name = choose_engine(spec.engine, device)
    items: list[DomainItem] = []
    overlap: TextOverlapResults | None = None
    answers: list[AnswerSample] = []
    choices: list[ChoiceResult] = []
    again: tuple[SecondAnswers, ...] = ()
    outputs = {"samples": context.run_dir / "samples.parquet"}

    if spec.text_overlap is not None:
        items = read_rows(spec.text_overlap.dataset, DomainItem, to_be_scored=True)
        facts = inspect_model_directory(model_path)
        cap = answer_cap(
            spec.text_overlap, tokenizer, items, context_length=facts.max_position_embeddings
        )
        with open_engine(spec.engine, model_path, device=device, dtype=spec.dtype) as engine:
            answers = answer_items(
                engine, tokenizer, items, spec.text_overlap, context, max_new_tokens=cap
            )
        del engine  # with its model, before the next is loaded
    model = load_model(model_path, dtype=getattr(torch, spec.dtype), device=device)
    context.raise_if_stopped(STARTS_OVER)
    if spec.text_overlap is not None:
        answers = _with_reference_scores(answers, items, model, tokenizer, context)
        overlap = text_overlap_results(answers, max_new_tokens=cap)
        warn_of_cut_answers(overlap, spec.text_overlap, context)
    if spec.general_ability is not None:
        is_base = model_digest == base_digest
        choices, again = _answer_choices(spec.general_ability, model, tokenizer, context, is_base)
    context.raise_if_stopped(STARTS_OVER)
    gauge = None
    if spec.gauge is not None:
        base = _base_of(spec, model, is_base=model_digest == base_digest, device=device)
        gauge = _gauge(spec, spec.gauge, (model, base), outputs, context)
    write_samples(answers, choices, outputs["samples"], again=again)
    benchmarks: list[BenchmarkResults] = []
    if spec.benchmarks:
        outputs["benchmark_samples"] = context.run_dir / "benchmark_samples.jsonl"
        benchmarks = _benchmarks(spec, model, tokenizer, outputs["benchmark_samples"], context)
    harness_tasks: list[HarnessTaskResults] = []
    if spec.harness_tasks:
        outputs["harness_samples"] = context.run_dir / "harness_samples.jsonl"
        harness_tasks = _harness_tasks(spec, model, tokenizer, outputs["harness_samples"], context)
    results = EvaluateResults(
        text_overlap=overlap,
        general_ability=choice_figures(choices) if spec.general_ability else None,
        gauge=gauge,
        flip_nulls=read_flip_nulls(outputs["samples"]),
        benchmarks=tuple(benchmarks),
        harness_tasks=tuple(harness_tasks),
    )
    if spec.baseline is not None:
        baseline = Path(spec.baseline.resolved_path)
        results = _against_baseline(spec, results, baseline, outputs["samples"])
    return RecipeResult(
        results=results,
        outputs=outputs,
        inputs={"model": model_digest, "base": base_digest},
        definitions={
            "text_overlap": "canonical: rouge-score with our tokenizer, sacrebleu BLEU-4 zh",
            "general_ability": general_ability.DEFINITION,
            "gauge": language_modeling.DEFINITION,
            "reference_bits_per_byte": reference_likelihood.DEFINITION,
            "engine": engine_name,
            "decoding": describe_path(model) if engine_name == "torch" else engine_name,
        },
    )


def _with_reference_scores(
    answers: Sequence[AnswerSample],
    items: Sequence[DomainItem],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    context: RunContext,
) -> list[AnswerSample]:
    progress = context.progress("references", total=len(items), unit="references")

    def scored(number: int) -> None:
        progress.advance(number)
        context.raise_if_stopped(STARTS_OVER)

    return with_reference_scores(answers, score_references(model, tokenizer, items, scored=scored))


def _answer_choices(
    settings: GeneralAbilitySettings,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    context: RunContext,
    is_base: bool,
) -> tuple[list[ChoiceResult], tuple[SecondAnswers, ...]]:
    rows = read_rows(settings.dataset, MultipleChoiceItem, to_be_scored=True)
    items = with_one_answer(rows, context)
    is_asked_again = settings.flip_null and is_base
    num_passes = 3 if is_asked_again else 1
    progress = context.progress("questions", total=num_passes * len(items), unit="questions")

    def pass_done() -> None:
        progress.advance(len(items))
        context.raise_if_stopped(STARTS_OVER)

    results = evaluate_choices(model, tokenizer, items)
    pass_done()
    if not is_asked_again:
        return results, ()
    return results, answer_again(model, tokenizer, items, between=pass_done)


def _benchmarks(
    spec: EvaluateSpec,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    path: Path,
    context: RunContext,
) -> list[BenchmarkResults]:
    progress = context.progress("benchmarks", total=len(spec.benchmarks), unit="benchmarks")
    results, runs = [], []
    for number, settings in enumerate(spec.benchmarks, start=1):
        every_row = settings.dataset.model_copy(update={"limit": None})
        rows = with_one_answer(read_rows(every_row, (MultipleChoiceItem, DomainItem)), context)
        samples = evaluate_benchmark(model, tokenizer, rows, settings)
        results.append(benchmark_results(samples, settings, rows))
        runs.append(samples)
        context.raise_if_stopped(STARTS_OVER)
        progress.advance_to(number)
    write_benchmark_samples(runs, path)
    return results


def _harness_tasks(
    spec: EvaluateSpec,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    path: Path,
    context: RunContext,
) -> list[HarnessTaskResults]:
    progress = context.progress("tasks", total=len(spec.harness_tasks), unit="tasks")
    runs = []
    for number, settings in enumerate(spec.harness_tasks, start=1):
        runs.append(run_task(model, tokenizer, settings))
        context.raise_if_stopped(STARTS_OVER)
        progress.advance_to(number)
    write_task_samples(runs, path)
    return [run.results for run in runs]


def _base_of(
    spec: EvaluateSpec, model: PreTrainedModel, *, is_base: bool, device: str
) -> PreTrainedModel:
    """The base's weights; the model's own where it is the base itself."""
    if is_base:
        return model
    path = Path(spec.base.resolved_path)
    return load_model(path, dtype=getattr(torch, spec.dtype), device=device)


def _gauge(
    spec: EvaluateSpec,
    settings: GaugeSettings,
    models: tuple[PreTrainedModel, PreTrainedModel],
    outputs: dict[str, Path],
    context: RunContext,
) -> GaugeResults:
    """The figures of (model, base); the texts and their scores are outputs."""
    texts = _gauge_texts(spec, settings)
    outputs["gauge_texts"] = context.run_dir / "gauge_texts.jsonl"
    write_gauge_texts(texts, outputs["gauge_texts"])
    progress = context.progress("gauge", total=len(texts), unit="texts")
    scores: list[GaugeScore] = []
    for score in score_gauge_texts(*models, texts):
        context.raise_if_stopped(STARTS_OVER)
        scores.append(score)
        progress.advance_to(len(scores))
    outputs["gauge_scores"] = context.run_dir / "gauge_scores.jsonl"
    write_gauge_scores(scores, outputs["gauge_scores"])
    return summarize_gauge(scores, margin=settings.margin)


def _gauge_texts(spec: EvaluateSpec, settings: GaugeSettings) -> list[GaugeText]:
    if settings.texts is not None:
        return read_gauge_texts(Path(settings.texts.resolved_path))
    documents = read_rows(settings.prompts, Document)
    base_path, device = Path(spec.base.resolved_path), choose_device(spec.device)
    with open_engine(spec.engine, base_path, device=device, dtype=spec.dtype) as engine:
        return sample_gauge_texts(
            engine,
            load_tokenizer(base_path),
            documents,
            num_samples=settings.num_samples,
            num_prompt_tokens=settings.num_prompt_tokens,
            max_new_tokens=settings.max_new_tokens,
            seed=spec.seed,
        )


def _against_baseline(
    spec: EvaluateSpec, results: EvaluateResults, baseline: Path, samples: Path
) -> EvaluateResults:
    """`results` with the paired comparison with the baseline's results on the same items."""
    compared: dict[str, object] = {}
    if spec.general_ability is not None:
        margin = spec.general_ability.retention_margin
        rows = [read_samples(path, "general_ability") for path in (baseline, samples)]
        compared["retention"] = RetentionByScore(
            accuracy=_retention(
                *rows, score="is_correct", margin=margin, nulls=read_flip_nulls(baseline)
            ),
            probability=_retention(*rows, score="probability", margin=margin),
        )
    if spec.text_overlap is not None:
        rows = [read_samples(path, "text_overlap") for path in (baseline, samples)]
        compared["text_overlap_vs_baseline"] = compare_overlap(*rows)
    return results.model_copy(update=compared)


def _retention(
    baseline: Sequence[Row],
    candidate: Sequence[Row],
    *,
    score: str,
    margin: float,
    nulls: Sequence[FlipNull] = (),
) -> RetentionResults:
    items = retention_items(baseline, candidate, score=score)
    return measure_retention(items, margin=margin, nulls=nulls)

"""Measure a checkpoint: domain answers, general ability, and text the base wrote.

Report metrics (`docs/metrics.md` defines each figure):

    text_overlap      rouge1 rouge2 rougeL bleu4 ... n; also apart for documents_seen, _unseen
    general_ability   accuracy, mean_probability, n, chance
    gauge             bits_per_byte, kl_nats_per_token, num_texts, num_tokens
    retention         with `baseline`: accuracy and probability, each with interval and verdict
    text_overlap_vs_baseline   with `baseline`: paired rouge1, rouge2, rougeL, bleu4

Outputs: `samples` (samples.parquet), `gauge_texts` (gauge_texts.jsonl).
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contracts.evaluation_spec import EvaluateSpec, GaugeSettings
from pipeline.data.datasets import read_rows
from pipeline.data.records import Document, DomainItem, MultipleChoiceItem
from pipeline.decoding.engines import choose_engine, open_engine
from pipeline.evaluation import general_ability, language_modeling
from pipeline.evaluation.general_ability import ChoiceResult, evaluate_choices
from pipeline.evaluation.generation import STARTS_OVER, answer_items, text_overlap_metrics
from pipeline.evaluation.language_modeling import (
    GaugeText,
    read_gauge_texts,
    sample_gauge_texts,
    score_gauge_texts,
    summarize_gauge,
    write_gauge_texts,
)
from pipeline.evaluation.overlap_comparison import compare_overlap
from pipeline.evaluation.samples import AnswerSample, read_samples, write_samples
from pipeline.execution import RecipeResult, RunContext
from pipeline.metrics.retention import RetentionItem, measure_retention
from pipeline.modeling.device import choose_device
from pipeline.modeling.loading import load_model, load_tokenizer, require_same_vocabulary
from pipeline.provenance import checked_model

Rows = dict[str, dict[str, Any]]


def run(spec: EvaluateSpec, context: RunContext) -> RecipeResult:
    """The model's figures; a stop request ends the run, which then starts over."""
    with context.stop.raising(STARTS_OVER):
        return _run(spec, context)


def _run(spec: EvaluateSpec, context: RunContext) -> RecipeResult:
    model_path, model_digest = checked_model(spec.model)
    base_path, base_digest = checked_model(spec.base)
    require_same_vocabulary(base_path, model_path)
    tokenizer = load_tokenizer(model_path)
    device = choose_device(spec.device)
    answers: list[AnswerSample] = []
    choices: list[ChoiceResult] = []
    outputs = {"samples": context.run_dir / "samples.parquet"}
    metrics: dict[str, Any] = {}

    if spec.text_overlap is not None:
        items = read_rows(spec.text_overlap.dataset, DomainItem)
        with open_engine(spec.engine, model_path, device=device, dtype=spec.dtype) as engine:
            answers = answer_items(engine, tokenizer, items, spec.text_overlap, context)
        metrics["text_overlap"] = text_overlap_metrics(answers)
    model = load_model(model_path, dtype=getattr(torch, spec.dtype), device=device)
    context.raise_if_stopped(STARTS_OVER)
    if spec.general_ability is not None:
        choices = _answer_choices(spec, model, tokenizer, context)
        metrics["general_ability"] = _choice_metrics(choices)
    context.raise_if_stopped(STARTS_OVER)
    if spec.gauge is not None:
        outputs["gauge_texts"] = context.run_dir / "gauge_texts.jsonl"
        metrics["gauge"] = _gauge(spec, spec.gauge, model, outputs["gauge_texts"], device, context)
    write_samples(answers, choices, outputs["samples"])
    if spec.baseline is not None:
        metrics |= _against_baseline(spec, Path(spec.baseline.resolved_path), outputs["samples"])
    return RecipeResult(
        metrics=metrics,
        outputs=outputs,
        inputs={"model": model_digest, "base": base_digest},
        definitions={
            "text_overlap": "canonical: rouge-score with our tokenizer, sacrebleu BLEU-4 zh",
            "general_ability": general_ability.DEFINITION,
            "gauge": language_modeling.DEFINITION,
            "engine": choose_engine(spec.engine, device),
        },
    )


def _answer_choices(
    spec: EvaluateSpec,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    context: RunContext,
) -> list[ChoiceResult]:
    assert spec.general_ability is not None  # noqa: S101 (the caller checked)
    items = read_rows(spec.general_ability.dataset, MultipleChoiceItem)
    progress = context.progress("questions", total=len(items), unit="questions")
    results = evaluate_choices(model, tokenizer, items)
    progress.advance_to(len(items))
    return results


def _choice_metrics(results: Sequence[ChoiceResult]) -> dict[str, Any]:
    count = len(results)
    return {
        "accuracy": sum(result.is_correct for result in results) / count,
        "num_correct": sum(result.is_correct for result in results),
        "mean_probability": sum(result.probability for result in results) / count,
        "chance": sum(1 / len(result.choices) for result in results) / count,
        "n": count,
    }


def _gauge(
    spec: EvaluateSpec,
    settings: GaugeSettings,
    model: PreTrainedModel,
    path: Path,
    device: str,
    context: RunContext,
) -> dict[str, Any]:
    base_path = Path(spec.base.resolved_path)
    base = load_model(base_path, dtype=getattr(torch, spec.dtype), device=device)
    progress = context.progress("gauge", total=settings.num_samples, unit="texts")
    texts = _gauge_texts(spec, settings, base_path, device)
    write_gauge_texts(texts, path)
    gauge = summarize_gauge(score_gauge_texts(model, base, texts))
    progress.advance_to(settings.num_samples)
    return asdict(gauge)


def _gauge_texts(
    spec: EvaluateSpec, settings: GaugeSettings, base_path: Path, device: str
) -> list[GaugeText]:
    if settings.texts is not None:
        return read_gauge_texts(Path(settings.texts.resolved_path))
    documents = read_rows(settings.prompts, Document)
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


def _against_baseline(spec: EvaluateSpec, baseline: Path, samples: Path) -> dict[str, Any]:
    """Paired comparison with the baseline's results on the same items."""
    compared: dict[str, Any] = {}
    if spec.general_ability is not None:
        margin = spec.general_ability.retention_margin
        rows = [_by_id(path, "general_ability") for path in (baseline, samples)]
        compared["retention"] = {
            "accuracy": _retention(*rows, score="is_correct", margin=margin, seed=spec.seed),
            "probability": _retention(*rows, score="probability", margin=margin, seed=spec.seed),
        }
    if spec.text_overlap is not None:
        rows = [_by_id(path, "text_overlap") for path in (baseline, samples)]
        compared["text_overlap_vs_baseline"] = compare_overlap(*rows, seed=spec.seed)
    return compared


def _by_id(path: Path, task: str) -> Rows:
    return {str(row["item_id"]): row for row in read_samples(path, task)}


def _retention(
    baseline: Rows, candidate: Rows, *, score: str, margin: float, seed: int
) -> dict[str, Any]:
    items = []
    for item_id in dict.fromkeys((*baseline, *candidate)):
        base, new = baseline.get(item_id), candidate.get(item_id)
        known = base or new
        assert known is not None  # noqa: S101 (the id came from one of the two)
        items.append(
            RetentionItem(
                item_id=item_id,
                category=known["category"],
                base=None if base is None else float(base[score]),
                new=None if new is None else float(new[score]),
                num_choices=len(known["choices"]),
                cluster=known["cluster"],
            )
        )
    return asdict(measure_retention(items, margin=margin, seed=seed))

"""Known benchmarks through lm-evaluation-harness: few-shot, letters or full answers, numbers.

Every figure is the mean of what the harness says of each item; every item is kept with the prompt
it was asked with, so that a figure can be counted again.
"""

import hashlib
import importlib.metadata
import json
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contracts.evaluation_results import (
    BenchmarkCategory,
    BenchmarkFigure,
    BenchmarkFigureName,
    BenchmarkResults,
)
from pipeline.contracts.evaluation_spec import BenchmarkSettings
from pipeline.data.records import MultipleChoiceItem
from pipeline.evaluation.benchmark_tasks import Question, SubjectTask, subject_tasks
from pipeline.evaluation.general_ability import category_of
from pipeline.evaluation.harness import harness_samples
from pipeline.evaluation.harness_adapter import harness_adapter
from pipeline.metrics.number_match import (
    NOT_FOUND,
    flexible_number,
    is_number_match,
    strict_number,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkSample:
    """How one question of a benchmark came out."""

    item_id: str
    category: str
    subject: str
    prompt: str
    """The whole text before the answer, few-shot examples included."""
    options: tuple[str, ...]
    """What was scored after the prompt, delimiter included; empty where an answer was generated."""
    log_likelihoods: tuple[float, ...]
    reference: str
    answer: str
    """The most probable option, or the generated text."""
    scores: Mapping[BenchmarkFigureName, float]
    """By key of the figures; 0 or 1."""


def evaluate_benchmark(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Question],
    settings: BenchmarkSettings,
    *,
    batch_size: int = 8,
) -> list[BenchmarkSample]:
    """Each scored question, by subject and in the rows' order within it.

    Args:
        rows: everything the data set holds, few-shot examples included.

    Raises:
        DataError: `data.empty`, `data.too_few_examples`.
        ModelError: `model.no_chat_template` where one is asked for.
    """
    adapter = harness_adapter(model, tokenizer, batch_size, with_template=settings.chat_template)
    samples: list[BenchmarkSample] = []
    with tempfile.TemporaryDirectory() as directory:
        tasks = subject_tasks(rows, settings, Path(directory))
        found = harness_samples(
            adapter, [task.config for task in tasks], chat_template=settings.chat_template
        )
        for task in tasks:
            samples.extend(_samples(task, found[task.name]))
    return samples


def _samples(task: SubjectTask, logged: Sequence[Mapping[str, Any]]) -> Iterator[BenchmarkSample]:
    by_id = {sample["doc"]["id"]: sample for sample in logged}
    for question in task.questions:
        sample = by_id[question.id]
        if isinstance(question, MultipleChoiceItem):
            yield _choice_sample(task, question, sample)
        else:
            yield _number_sample(task, question, sample)


def _choice_sample(
    task: SubjectTask, question: MultipleChoiceItem, sample: Mapping[str, Any]
) -> BenchmarkSample:
    arguments = [_pair(argument) for argument in sample["arguments"]]
    values = tuple(float(response[0]) for response in sample["filtered_resps"])
    options = tuple(option for _prompt, option in arguments)
    best = max(range(len(values)), key=values.__getitem__)
    return BenchmarkSample(
        item_id=question.id,
        category=category_of(question.meta),
        subject=task.subject,
        prompt=arguments[0][0],
        options=options,
        log_likelihoods=values,
        reference=options[question.answer],
        answer=options[best],
        scores={"acc": float(sample["acc"]), "acc_norm": float(sample["acc_norm"])},
    )


def _number_sample(
    task: SubjectTask, question: Question, sample: Mapping[str, Any]
) -> BenchmarkSample:
    assert not isinstance(question, MultipleChoiceItem)  # noqa: S101 (the spec has seen to it)
    prompt, _settings = _pair(sample["arguments"][0])
    answer = str(sample["resps"][0][0])
    strict, flexible = strict_number(answer), flexible_number(answer)
    return BenchmarkSample(
        item_id=question.id,
        category=category_of(question.meta),
        subject=task.subject,
        prompt=prompt,
        options=(),
        log_likelihoods=(),
        reference=question.output,
        answer=answer,
        scores={
            "exact_match_strict": float(is_number_match(strict, question.output)),
            "exact_match_flexible": float(is_number_match(flexible, question.output)),
            "no_number": float(flexible == NOT_FOUND),
        },
    )


def _pair(argument: Any) -> tuple[str, Any]:
    """Prompt and continuation of one request; logged as a mapping or as a sequence."""
    first, second = argument.values() if isinstance(argument, Mapping) else argument
    return str(first), second


def benchmark_results(
    samples: Sequence[BenchmarkSample], settings: BenchmarkSettings, rows: Sequence[Question]
) -> BenchmarkResults:
    """The figures of a benchmark, over all items and by category."""
    names = sorted({str(row.meta.get("benchmark", "")) for row in rows} - {""})
    categories = sorted({sample.category for sample in samples})
    prompts = hashlib.sha256()
    for sample in samples:
        prompts.update(json.dumps([sample.prompt, *sample.options]).encode())
    choices = [len(sample.options) for sample in samples if sample.options]
    return BenchmarkResults(
        benchmark=", ".join(names),
        form=settings.form,
        num_few_shot=settings.num_few_shot,
        chat_template=settings.chat_template,
        n=len(samples),
        chance=sum(1 / count for count in choices) / len(choices) if choices else None,
        figures=_figures(samples),
        categories=tuple(
            BenchmarkCategory(category=category, n=len(found), figures=_figures(found))
            for category in categories
            if (found := [sample for sample in samples if sample.category == category])
        ),
        prompts_sha256=prompts.hexdigest(),
        harness=f"lm-eval {importlib.metadata.version('lm-eval')}",
    )


def _figures(
    samples: Sequence[BenchmarkSample],
) -> dict[BenchmarkFigureName, BenchmarkFigure]:
    """Means, with the standard error as the harness has it: sd / sqrt(n), items independent."""
    figures: dict[BenchmarkFigureName, BenchmarkFigure] = {}
    for key in samples[0].scores:
        scores = [sample.scores[key] for sample in samples]
        error = statistics.stdev(scores) / len(scores) ** 0.5 if len(scores) > 1 else None
        figures[key] = BenchmarkFigure(value=statistics.fmean(scores), standard_error=error)
    return figures


def write_benchmark_samples(runs: Sequence[Sequence[BenchmarkSample]], path: Path) -> None:
    """One JSON object a line; `benchmark` is the index of the spec's list."""
    with path.open("w", encoding="utf-8") as file:
        for number, samples in enumerate(runs):
            for sample in samples:
                row = {"benchmark": number, **asdict(sample)}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

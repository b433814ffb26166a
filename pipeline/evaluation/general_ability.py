"""General ability by lm-evaluation-harness: the probability a model gives to each full answer.

Letters (A, B, C, D) measure whether a model knows the format; the full answers measure what it
knows. Nothing is generated, so an answer's style cannot change the score.
"""

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contracts.evaluation_results import GeneralAbilityResults
from pipeline.contracts.samples import Score, measures_of, number
from pipeline.data.records import MultipleChoiceItem
from pipeline.errors import DataError
from pipeline.evaluation.harness import harness_samples
from pipeline.evaluation.harness_adapter import harness_adapter

DEFINITION = (
    "multiple choice, full answers, summed log-likelihood, no chat template (lm-eval 0.4.13)"
)
TASK_NAME = "general_ability"
Wording = Mapping[str, tuple[str, str]]
"""By language: the prompt, and what stands between it and an answer."""
# Each language asks in its own words; the item's text follows, and the harness puts the space that
# separates a Latin answer from its prompt (`target_delimiter`), which Chinese does not have.
PROMPTS: Wording = {
    "en": ("Question: {{question}}\nAnswer:", " "),
    "zh": ("问题：{{question}}\n答案：", ""),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ChoiceResult:
    """How one question came out."""

    item_id: str
    category: str
    """Topic group where the item has one, else its subject: retention is reported for each."""
    cluster: str | None
    """Subject within the category, whose questions rise and fall together; None without one."""
    lang: str
    question: str
    choices: tuple[str, ...]
    answer: int
    log_likelihoods: tuple[float, ...]
    """Natural logarithm of each choice's probability given the question, summed over its tokens."""

    @property
    def predicted(self) -> int:
        """Index of the most probable choice, the first of equals."""
        return max(range(len(self.choices)), key=self.log_likelihoods.__getitem__)

    @property
    def is_correct(self) -> bool:
        """Whether the most probable choice is the answer."""
        return self.predicted == self.answer

    @property
    def probability(self) -> float:
        """Probability of the right choice among the choices, in [0, 1]."""
        highest = max(self.log_likelihoods)
        weights = [math.exp(value - highest) for value in self.log_likelihoods]
        return weights[self.answer] / sum(weights)

    @property
    def scores(self) -> dict[str, Score]:
        """By column of the measures of `general_ability`."""
        return {"is_correct": self.is_correct, "probability": self.probability}


def evaluate_choices(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[MultipleChoiceItem],
    *,
    batch_size: int = 8,
    wording: Wording = PROMPTS,
) -> list[ChoiceResult]:
    """Each item scored by lm-evaluation-harness's own Hugging Face adapter, in the items' order.

    Args:
        model: causal language model in evaluation mode.
        items: questions of one or several languages (`PROMPTS`).
        batch_size: sequences in one forward pass.
        wording: what stands around each question, by language.

    Raises:
        DataError: `data.row_invalid` for a language without a wording.
    """
    unknown = sorted({item.lang for item in items} - wording.keys())
    if unknown:
        raise DataError(
            "data.row_invalid",
            f"no question wording for language {', '.join(unknown)}; "
            f"multiple-choice rows may be {', '.join(wording)}",
        )
    adapter = harness_adapter(model, tokenizer, batch_size, with_template=False)
    scored: dict[str, tuple[float, ...]] = {}
    with tempfile.TemporaryDirectory() as directory:
        tasks = [
            _task(
                [item for item in items if item.lang == language],
                language,
                wording[language],
                Path(directory),
            )
            for language in sorted({item.lang for item in items})
        ]
        found = harness_samples(adapter, tasks)
    for samples in found.values():
        for sample in samples:
            scored[sample["doc"]["id"]] = tuple(
                float(response[0]) for response in sample["filtered_resps"]
            )
    return [
        ChoiceResult(
            item_id=item.id,
            category=category_of(item.meta),
            cluster=_cluster(item),
            lang=item.lang,
            question=item.question,
            choices=tuple(item.choices),
            answer=item.answer,
            log_likelihoods=scored[item.id],
        )
        for item in items
    ]


def choice_figures(results: Sequence[ChoiceResult]) -> GeneralAbilityResults:
    """The means of all questions."""
    count = len(results)
    return GeneralAbilityResults(
        n=count,
        num_correct=sum(result.is_correct for result in results),
        chance=sum(1 / len(result.choices) for result in results) / count,
        figures={
            # Summed in file order, not exactly: the last digit of stored figures depends on it.
            measure.key: sum(number(result.scores[measure.column]) for result in results) / count
            for measure in measures_of("general_ability", aggregated=True)
        },
    )


def category_of(meta: Mapping[str, object]) -> str:
    """The part of a benchmark that a question is counted in; empty where its row names none."""
    return str(meta.get("topic_group", meta.get("subject", "")))


def _cluster(item: MultipleChoiceItem) -> str | None:
    # Where the subject is the category itself, a category would be one unit without an interval.
    has_both = "topic_group" in item.meta and "subject" in item.meta
    return str(item.meta["subject"]) if has_both else None


def _task(
    items: Sequence[MultipleChoiceItem], language: str, words: tuple[str, str], directory: Path
) -> dict[str, Any]:
    """A harness task over a local file, as its task YAML would describe it."""
    path = directory / f"{language}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for item in items:
            row = {
                "id": item.id,
                "question": item.question,
                "choices": list(item.choices),
                "answer": item.answer,
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    prompt, delimiter = words
    return {
        "task": f"{TASK_NAME}_{language}",
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": {"test": str(path)},
            "cache_dir": str(directory / "cache"),
        },
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": prompt,
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{answer}}",
        "target_delimiter": delimiter,
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }

"""Benchmarks as tasks of lm-evaluation-harness: its wording, on rows brought in by hand.

The letter form asks as the harness's own tasks `ceval-valid`, `cmmlu` and `mmlu` do, descriptions
included, the full-answer form as `arc_easy` and `hellaswag`, the number form as `gsm8k`. A task is
made for each subject, because each subject has few-shot examples of its own.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.contracts.evaluation_spec import BenchmarkSettings
from pipeline.data.benchmarks.recognition import SPLIT_KEY
from pipeline.data.benchmarks.scoring import scored_rows
from pipeline.data.choices import LETTERS
from pipeline.data.records import DomainItem, MultipleChoiceItem
from pipeline.errors import DataError
from pipeline.evaluation.general_ability import PROMPTS

Question = MultipleChoiceItem | DomainItem
_DESCRIBED = {
    "C-Eval": "ceval/ceval-valid_{}.yaml",
    "CMMLU": "cmmlu/cmmlu_{}.yaml",
    "MMLU": "mmlu/default/mmlu_{}.yaml",
}
"""Task files of the harness that introduce a subject in words."""
_ANSWER_MARK = {"zh": "答案：", "en": "Answer:"}
_STOPS = ("Question:", "</s>", "<|im_end|>")


@dataclass(frozen=True, kw_only=True, slots=True)
class SubjectTask:
    """The questions of one subject and language, as the harness takes them."""

    name: str
    subject: str
    questions: tuple[Question, ...]
    config: dict[str, Any]


def subject_tasks(
    rows: Sequence[Question], settings: BenchmarkSettings, directory: Path
) -> list[SubjectTask]:
    """A task for each subject and language of a benchmark; its rows are written to `directory`.

    Args:
        rows: everything the data set holds, few-shot examples included.

    Raises:
        DataError: `data.too_few_examples` where a subject has fewer than are to be shown.
    """
    scored = _thinned(scored_rows(rows), settings.dataset.limit)
    if not scored:
        raise DataError(
            "data.empty", "the data set of the benchmark holds only few-shot or training rows"
        )
    groups: dict[tuple[str, str], list[Question]] = {}
    for row in scored:
        groups.setdefault((_subject(row), row.lang), []).append(row)
    tasks = []
    for number, ((subject, lang), questions) in enumerate(sorted(groups.items())):
        shown = [row for row in _examples(rows) if (_subject(row), row.lang) == (subject, lang)]
        if len(shown) < settings.num_few_shot:
            raise DataError(
                "data.too_few_examples",
                f"{settings.num_few_shot} few-shot examples are wanted, subject {subject!r} has "
                f"{len(shown)}; import the split `dev` (or `train`) with it, or show fewer",
            )
        name = f"benchmark_{number}"
        shown = shown[: settings.num_few_shot]
        config = _config(name, questions, shown, settings, directory)
        tasks.append(
            SubjectTask(name=name, subject=subject, questions=tuple(questions), config=config)
        )
    return tasks


def _subject(row: Question) -> str:
    return str(row.meta.get("subject", ""))


def _examples(rows: Sequence[Question]) -> list[Question]:
    """Rows that are there to be shown: those of `dev`, or of `train` where there is no `dev`."""
    for split in ("dev", "train"):
        found = [row for row in rows if row.meta.get(SPLIT_KEY) == split]
        if found:
            return found
    return []


def _thinned(rows: Sequence[Question], limit: int | None) -> list[Question]:
    """Spread evenly, as `read_rows` does it; few-shot examples do not count."""
    if limit is None or limit >= len(rows):
        return list(rows)
    return [rows[index * len(rows) // limit] for index in range(limit)]


def _config(
    name: str,
    questions: Sequence[Question],
    shown: Sequence[Question],
    settings: BenchmarkSettings,
    directory: Path,
) -> dict[str, Any]:
    files = {"test": str(_written(directory / f"{name}.test.jsonl", questions, settings))}
    if shown:
        files["dev"] = str(_written(directory / f"{name}.dev.jsonl", shown, settings))
    config: dict[str, Any] = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": files, "cache_dir": str(directory / "cache")},
        "test_split": "test",
        "description": _description(questions[0]) if settings.form == "letter" else "",
        "doc_to_text": "prompt",
        "doc_to_target": "answer",
        "target_delimiter": _delimiter(questions[0], settings),
        "num_fewshot": len(shown),
    }
    if shown:
        config |= {"fewshot_split": "dev", "fewshot_config": {"sampler": "first_n"}}
    if settings.form == "number":
        return config | {
            "output_type": "generate_until",
            "generation_kwargs": {
                "until": list(_STOPS),
                "do_sample": False,
                "temperature": 0.0,
                "max_gen_toks": settings.max_new_tokens,
            },
            # Ours are computed from the generated text; the harness wants one of its own.
            "metric_list": [
                {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}
            ],
        }
    return config | {
        "output_type": "multiple_choice",
        "doc_to_choice": "options",
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": True}
            for metric in ("acc", "acc_norm")
        ],
    }


def _written(path: Path, rows: Sequence[Question], settings: BenchmarkSettings) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(_document(row, settings), ensure_ascii=False) + "\n")
    return path


def _document(row: Question, settings: BenchmarkSettings) -> dict[str, object]:
    """What the harness sees of a row."""
    if isinstance(row, DomainItem):
        return {"id": row.id, "prompt": f"Question: {row.prompt}\nAnswer:", "answer": row.output}
    if settings.form == "letter":
        letters = LETTERS[: len(row.choices)]
        lines = [f"{letter}. {text}" for letter, text in zip(letters, row.choices, strict=True)]
        prompt = "\n".join([row.question.strip(), *lines, _ANSWER_MARK[row.lang]])
        return {"id": row.id, "prompt": prompt, "options": list(letters), "answer": row.answer}
    asked = row.question
    if row.meta.get("benchmark") != "HellaSwag":
        asked = PROMPTS[row.lang][0].replace("{{question}}", row.question)
    return {"id": row.id, "prompt": asked, "options": list(row.choices), "answer": row.answer}


def _delimiter(row: Question, settings: BenchmarkSettings) -> str:
    """What stands between a prompt and its answer."""
    return PROMPTS[row.lang][1] if settings.form == "full_answer" else " "


def _description(row: Question) -> str:
    """How the harness introduces the subject; empty for subjects it does not know."""
    import lm_eval.tasks
    import yaml

    pattern = _DESCRIBED.get(str(row.meta.get("benchmark", "")))
    if pattern is None:
        return ""
    path = Path(lm_eval.tasks.__file__).parent / pattern.format(_subject(row))
    described = yaml.safe_load(path.read_text(encoding="utf-8")).get("description", "")
    return str(described)

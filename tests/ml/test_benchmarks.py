"""Benchmarks in every form, against the command line of lm-evaluation-harness on the same files.

The harness reads the benchmark's own files by task descriptions written here by hand; ours are read
by the import's readers. Same questions, same figures, to the last digit.
"""

import functools
import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from transformers import LlamaForCausalLM

from pipeline.contracts.evaluation_results import BenchmarkResults
from pipeline.contracts.evaluation_spec import BenchmarkSettings
from pipeline.contracts.references import BenchmarkRef
from pipeline.contracts.specs import parse_run_spec
from pipeline.data.datasets import read_rows
from pipeline.data.records import DomainItem, MultipleChoiceItem
from pipeline.errors import DataError, ModelError
from pipeline.evaluation.benchmarks import (
    BenchmarkSample,
    benchmark_results,
    evaluate_benchmark,
)
from pipeline.execution import RunContext
from pipeline.modeling.tiny import tiny_llama, tiny_tokenizer
from pipeline.recipes import evaluate
from tests.ml.benchmark_files import csv_text, json_lines, write

pytestmark = pytest.mark.slow

NUM_ITEMS = 200
NUM_EXAMPLES = 2
NUM_SUMS, NUM_GENERATED = 12, 16
"""Generating costs the harness a forward pass a token."""
WORDS_ZH = ("国资", "央企", "改革", "审计", "章程", "股东", "预算", "采购", "合同", "风险")
WORDS_EN = ("a", "ledger", "pays", "the", "clerk", "who", "counts", "red", "files", "in", "old")


def small_model() -> LlamaForCausalLM:
    """One layer: what is compared are prompts, options and figures, 200 times six."""
    return tiny_llama(seed=3, num_layers=1, hidden_size=32, max_position_embeddings=4096)


def phrase(rng: random.Random, words: tuple[str, ...], joint: str, longest: int) -> str:
    return joint.join(rng.choices(words, k=rng.randint(1, longest)))


def exam_rows(rng: random.Random, count: int) -> list[list[object]]:
    """Rows of C-Eval: id, question, four different choices of different length, letter."""
    rows: list[list[object]] = []
    for number in range(count):
        choices = [f"{letter}{phrase(rng, WORDS_ZH, '', 3)}" for letter in "甲乙丙丁"]
        question = f" {phrase(rng, WORDS_ZH, '', 4)}是____ "
        rows.append([number, question, *choices, rng.choice("ABCD")])
    return rows


def hub_rows(rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Rows of ARC with three to five choices."""
    rows = []
    for number in range(count):
        labels = "ABCDE"[: rng.randint(3, 5)]
        texts = [f"{label} {phrase(rng, WORDS_EN, ' ', 6)}" for label in labels]
        rows.append(
            {
                "id": f"m{number}",
                "question": phrase(rng, WORDS_EN, " ", 8) + "?",
                "choices": {"text": texts, "label": list(labels)},
                "answerKey": rng.choice(labels),
            }
        )
    return rows


def sums(rng: random.Random, count: int) -> list[dict[str, str]]:
    rows = []
    for _ in range(count):
        a, b = rng.randint(0, 99), rng.randint(0, 99)
        answer = f"{a} + {b} = <<{a}+{b}={a + b}>>{a + b}\n#### {a + b}"
        rows.append({"question": f"What is {a} + {b}?", "answer": answer})
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model, and the benchmarks' files as they are published."""
    root = tmp_path_factory.mktemp("benchmarks")
    rng = random.Random(9)
    model = small_model()
    tokenizer = tiny_tokenizer()
    model.save_pretrained(root / "model")
    tokenizer.save_pretrained(root / "model")
    header = ["id", "question", "A", "B", "C", "D", "answer"]
    write(root / "law_dev.csv", csv_text(
        [[*header, "explanation"], *([*row, "略"] for row in exam_rows(rng, NUM_EXAMPLES))]
    ))  # fmt: skip
    write(root / "law_val.csv", csv_text([header, *exam_rows(rng, NUM_ITEMS)]))
    write(root / "ARC-Easy-train.jsonl", json_lines(hub_rows(rng, NUM_EXAMPLES)))
    write(root / "ARC-Easy-test.jsonl", json_lines(hub_rows(rng, NUM_ITEMS)))
    write(root / "train.jsonl", json_lines(sums(rng, NUM_EXAMPLES)))
    write(root / "test.jsonl", json_lines(sums(rng, NUM_SUMS)))
    return root


def described(folder: Path, name: str, files: tuple[str, str], shots: int) -> dict[str, Any]:
    """What every task description has; the wording is added by each."""
    test, dev = (str(folder / file) for file in files)
    return {
        "task": f"{name}_{shots}",
        "dataset_path": "csv" if test.endswith(".csv") else "json",
        "dataset_kwargs": {"data_files": {"test": test, "dev": dev}},
        "test_split": "test",
        "fewshot_split": "dev",
        "fewshot_config": {"sampler": "first_n"},
        "num_fewshot": shots,
    }


SCORED = [
    {"metric": metric, "aggregation": "mean", "higher_is_better": True}
    for metric in ("acc", "acc_norm")
]
EXAM = {
    "output_type": "multiple_choice",
    "description": "以下是中国关于法学的单项选择题，请选出其中的正确答案。\n\n",
    "doc_to_text": "{{question.strip()}}\nA. {{A}}\nB. {{B}}\nC. {{C}}\nD. {{D}}\n答案：",
    "doc_to_choice": ["A", "B", "C", "D"],
    "doc_to_target": "{{['A', 'B', 'C', 'D'].index(answer)}}",
    "metric_list": SCORED,
}
FULL = {
    "output_type": "multiple_choice",
    "doc_to_text": "Question: {{question}}\nAnswer:",
    "doc_to_choice": "{{choices.text}}",
    "doc_to_target": "{{choices.label.index(answerKey)}}",
    "metric_list": SCORED,
}
SHOTS = (0, NUM_EXAMPLES)
LAW, ARC, GSM8K = (
    ("law_val.csv", "law_dev.csv"),
    ("ARC-Easy-test.jsonl", "ARC-Easy-train.jsonl"),
    ("test.jsonl", "train.jsonl"),
)


def number_task() -> dict[str, Any]:
    """The harness's own description of GSM8K, without where it would be downloaded from."""
    import lm_eval.tasks

    path = Path(lm_eval.tasks.__file__).parent / "gsm8k/gsm8k.yaml"
    kept = {"doc_to_text", "doc_to_target", "metric_list", "generation_kwargs", "filter_list",
            "output_type"}  # fmt: skip
    task = {k: v for k, v in yaml.safe_load(path.read_text()).items() if k in kept}
    task["generation_kwargs"]["max_gen_toks"] = NUM_GENERATED
    return task


class Harness(NamedTuple):
    """What `lm_eval run` said."""

    figures: dict[str, dict[str, float]]
    """By task."""
    samples: dict[str, list[dict[str, Any]]]
    """By task, in the order of the file."""


def run_harness(
    folder: Path, names: Sequence[str], shots: Sequence[int], *, chat_template: bool = False
) -> Harness:
    """All tasks in one process of its own."""
    wordings = {"law": (LAW, EXAM), "arc": (ARC, FULL), "sums": (GSM8K, number_task())}
    tasks = [
        described(folder, name, wordings[name][0], number) | wordings[name][1]
        for name in names
        for number in shots
    ]
    work = folder / f"harness-{'-'.join(names)}-{chat_template}"
    work.mkdir()
    for task in tasks:
        (work / f"{task['task']}.yaml").write_text(yaml.safe_dump(task, allow_unicode=True))
    command = [
        sys.executable, "-m", "lm_eval", "run", "--model", "hf",
        "--model_args", f"pretrained={folder / 'model'},dtype=float32", "--device", "cpu",
        "--batch_size", "8", "--include_path", str(work), "--output_path", str(work / "out"),
        "--log_samples", "--tasks", *[task["task"] for task in tasks],
        *(["--apply_chat_template"] if chat_template else []),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (path,) = (work / "out").rglob("results_*.json")
    samples = {}
    for task in tasks:
        (log,) = (work / "out").rglob(f"samples_{task['task']}_*.jsonl")
        found = {}
        for line in log.read_text().splitlines():
            found[json.loads(line)["doc_id"]] = json.loads(line)  # the same for each filter
        samples[task["task"]] = [found[number] for number in sorted(found)]
    figures = json.loads(path.read_text())["results"]
    return Harness(figures=figures, samples=samples)


@pytest.fixture(scope="module")
def harness(folder: Path) -> Callable[[bool], Harness]:
    """The harness with and without the chat template, each run once."""

    def run(chat_template: bool) -> Harness:
        shots = SHOTS[1:] if chat_template else SHOTS
        return run_harness(folder, ("law", "arc", "sums"), shots, chat_template=chat_template)

    return functools.cache(run)


def ours(
    folder: Path, files: tuple[str, str], form: str, shots: int, *, chat_template: bool = False
) -> tuple[BenchmarkResults, list[BenchmarkSample]]:
    model = small_model()
    tokenizer = tiny_tokenizer()
    kind = "domain_test" if form == "number" else "multiple_choice"
    references = [BenchmarkRef(path=str(folder / file), kind=kind) for file in files]
    settings = BenchmarkSettings(
        dataset=references[0], form=form, num_few_shot=shots, chat_template=chat_template,
        max_new_tokens=NUM_GENERATED,
    )  # fmt: skip
    rows = [row for ref in references for row in read_rows(ref, (MultipleChoiceItem, DomainItem))]
    samples = evaluate_benchmark(model, tokenizer, rows, settings)
    return benchmark_results(samples, settings, rows), samples


@pytest.mark.harness
@pytest.mark.parametrize(
    ("name", "files", "form"),
    [("law", LAW, "letter"), ("arc", ARC, "full_answer"), ("sums", GSM8K, "number")],
)
@pytest.mark.parametrize(("chat_template", "shots"), [(False, 0), (False, 2), (True, 2)])
def test_figures_are_those_of_the_harness(
    name: str,
    files: tuple[str, str],
    form: str,
    chat_template: bool,
    shots: int,
    folder: Path,
    harness: Callable[[bool], Harness],
) -> None:
    compare(folder, name, files, form, chat_template, shots, harness(chat_template))


def compare(
    folder: Path, name: str, files: tuple[str, str], form: str, chat_template: bool, shots: int,
    theirs: Harness,
) -> None:  # fmt: skip
    """Prompts, scores and figures of the task are the harness's."""
    found, samples = ours(folder, files, form, shots, chat_template=chat_template)
    expected = theirs.figures[f"{name}_{shots}"]
    assert found.n == len(samples) == (NUM_SUMS if form == "number" else NUM_ITEMS)
    for sample, logged in zip(samples, theirs.samples[f"{name}_{shots}"], strict=True):
        assert sample.prompt == logged["arguments"]["gen_args_0"]["arg_0"]
        responses = [response[0] for response in logged["resps"]]
        if form == "number":
            assert [sample.answer] == responses
        else:
            scores = [float(response[0]) for response in responses]
            assert sample.log_likelihoods == pytest.approx(scores, abs=1e-4)
    pairs = (
        {
            "exact_match_strict": "exact_match,strict-match",
            "exact_match_flexible": "exact_match,flexible-extract",
        }
        if form == "number"
        else {"acc": "acc,none", "acc_norm": "acc_norm,none"}
    )
    for key, name_there in pairs.items():
        assert found.figures[key].value == expected[name_there]
        metric, _, rest = name_there.partition(",")
        error = expected[f"{metric}_stderr,{rest}"]
        assert found.figures[key].standard_error == pytest.approx(error, abs=1e-12)
    if form == "letter":  # every option is one letter long
        assert found.figures["acc"] == found.figures["acc_norm"]


def test_what_was_asked_is_recorded(folder: Path) -> None:
    results, samples = ours(folder, LAW, "letter", 2)
    assert results.benchmark == "C-Eval"
    assert results.chance == 0.25
    assert [c.category for c in results.categories] == ["Humanities"]
    first = samples[0]
    assert first.item_id == "val/law/0"
    assert first.prompt.startswith("以下是中国关于法学的单项选择题")
    assert first.prompt.count("答案：") == 3
    assert first.options == (" A", " B", " C", " D")
    assert first.answer in first.options
    again, _ = ours(folder, LAW, "letter", 2)
    other, _ = ours(folder, LAW, "letter", 1)
    assert again.prompts_sha256 == results.prompts_sha256 != other.prompts_sha256


def test_examples_must_be_there(folder: Path) -> None:
    with pytest.raises(DataError, match="subject 'law' has 2") as caught:
        ours(folder, LAW, "letter", 3)
    assert caught.value.code == "data.too_few_examples"
    with pytest.raises(DataError) as caught:
        ours(folder, ("law_dev.csv", "law_dev.csv"), "letter", 0)
    assert caught.value.code == "data.empty"


def test_a_chat_template_must_be_there(folder: Path) -> None:
    settings = BenchmarkSettings(
        dataset=BenchmarkRef(path="x", kind="multiple_choice"), form="letter", chat_template=True
    )
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(ModelError) as caught:
        evaluate_benchmark(tiny_llama(), tokenizer, [], settings)
    assert caught.value.code == "model.no_chat_template"


def test_an_evaluation_takes_several_at_once(folder: Path, context: RunContext) -> None:
    """Through the recipe, on questions of one's own: examples are marked as a benchmark's are."""
    rows = [
        {
            "id": f"{split}{number}",
            "question": f"Which is {number}?",
            "choices": ["one", "two", "three"],
            "answer": number % 3,
            "meta": {"subject": "sums", "topic_group": "own", "file_split": split},
        }
        for split, count in (("dev", 1), ("test", 6))
        for number in range(count)
    ]
    dataset = {
        "kind": "multiple_choice",
        "path": str(write(folder / "own.jsonl", json_lines(rows))),
    }
    spec = parse_run_spec(
        json.dumps(
            {
                "kind": "evaluate",
                "model": {"path": str(folder / "model")},
                "base": {"path": str(folder / "model")},
                "device": "cpu",
                "benchmarks": [
                    {"dataset": dataset, "form": "letter", "num_few_shot": 1},
                    {"dataset": dataset | {"limit": 4}, "form": "full_answer"},
                ],
            }
        )
    )
    result = evaluate.run(spec, context)
    first, second = result.results.benchmarks
    assert (first.form, first.num_few_shot, first.n) == ("letter", 1, 6)
    assert (second.form, second.num_few_shot, second.n) == ("full_answer", 0, 4)
    assert first.chance == second.chance == pytest.approx(1 / 3)
    written = result.outputs["benchmark_samples"].read_text().splitlines()
    lines = [json.loads(line) for line in written]
    assert [line["benchmark"] for line in lines] == [0] * 6 + [1] * 4
    assert lines[0]["prompt"].startswith("Which is 0?\nA. one\nB. two\nC. three\nAnswer: A\n\n")
    for number, found in enumerate((first, second)):
        scores = [line["scores"]["acc"] for line in lines if line["benchmark"] == number]
        assert found.figures["acc"].value == sum(scores) / len(scores)

"""Tasks that the harness brings along, for real: its prompts and metrics on files from a folder."""

import json
import random
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import LlamaForCausalLM

from pipeline.contracts.evaluation_spec import BenchmarkSettings
from pipeline.contracts.harness_tasks import HarnessTaskSettings, TaskFilesRef
from pipeline.contracts.manifest import file_sha256
from pipeline.contracts.references import BenchmarkRef
from pipeline.contracts.specs import parse_run_spec
from pipeline.data.datasets import read_rows
from pipeline.data.records import DomainItem, MultipleChoiceItem
from pipeline.errors import DataError, SpecError
from pipeline.evaluation.benchmarks import benchmark_results, evaluate_benchmark
from pipeline.evaluation.installed_tasks import find_task, run_task
from pipeline.execution import RunContext
from pipeline.modeling.tiny import tiny_llama, tiny_tokenizer
from pipeline.recipes import evaluate
from tests.ml.benchmark_files import json_lines, write, write_parquet

NUM_ITEMS = 24
WORDS = ("a", "ledger", "pays", "the", "clerk", "who", "counts", "red", "files", "in", "old")


def phrase(rng: random.Random, longest: int) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(1, longest)))


def piqa_rows(rng: random.Random, count: int) -> list[dict[str, object]]:
    return [
        {"goal": phrase(rng, 8) + "?", "sol1": f"one {phrase(rng, 5)}",
         "sol2": f"two {phrase(rng, 5)}", "label": rng.randint(0, 1)}
        for _ in range(count)
    ]  # fmt: skip


def sums(rng: random.Random, count: int) -> list[dict[str, str]]:
    pairs = [(rng.randint(0, 99), rng.randint(0, 99)) for _ in range(count)]
    return [
        {"question": f"What is {a} + {b}?", "answer": f"<<{a}+{b}={a + b}>>\n#### {a + b}"}
        for a, b in pairs
    ]


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    return tiny_llama(seed=3, num_layers=1, hidden_size=32, max_position_embeddings=4096).eval()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By task, a folder as an administrator fills it."""
    root, rng = tmp_path_factory.mktemp("tasks"), random.Random(4)
    write(root / "piqa/validation.jsonl", json_lines(piqa_rows(rng, NUM_ITEMS)))
    write_parquet(root / "piqa_hub/validation-00000-of-00002.parquet", piqa_rows(rng, NUM_ITEMS))
    write_parquet(root / "piqa_hub/validation-00001-of-00002.parquet", piqa_rows(rng, NUM_ITEMS))
    write(root / "piqa_shots/train.jsonl", json_lines(piqa_rows(rng, 9)))
    write(root / "piqa_shots/validation.jsonl", json_lines(piqa_rows(rng, 200)))
    write(root / "gsm8k/train.jsonl", json_lines(sums(rng, 8)))
    write(root / "gsm8k/test.jsonl", json_lines(sums(rng, 4)))
    return {path.name: path for path in root.iterdir()}


def settings(task: str, folder: Path | None = None, **more: object) -> HarnessTaskSettings:
    files = None if folder is None else {"path": str(folder)}
    return HarnessTaskSettings.parse(json.dumps({"task": task, "files": files, **more}))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Whatever was tried to be reached."""
    tried: list[object] = []

    def refuse(self: socket.socket, address: object) -> None:
        tried.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    return tried


def test_a_task_of_choices_finds_what_our_own_form_finds(model, folders, no_network) -> None:
    """The same questions by the harness's `piqa`, and by the benchmark of the same rows."""
    tokenizer = tiny_tokenizer()
    run = run_task(model, tokenizer, settings("piqa", folders["piqa"]))
    data = BenchmarkRef(kind="multiple_choice", path=str(folders["piqa"] / "validation.jsonl"))
    asked = BenchmarkSettings(dataset=data, form="full_answer")
    rows = read_rows(data, MultipleChoiceItem)
    own = benchmark_results(evaluate_benchmark(model, tokenizer, rows, asked), asked, rows)
    found = {one.metric: one for one in run.results.metrics}
    assert found.keys() == {"acc", "acc_norm"}
    for key, one in found.items():
        assert one.value == own.figures[key].value
        assert one.standard_error == pytest.approx(own.figures[key].standard_error, rel=1e-12)
    assert (run.results.n, run.results.num_items) == (NUM_ITEMS, NUM_ITEMS)
    assert (run.results.version, run.results.num_few_shot) == ("1.0", 0)
    name = "validation.jsonl"
    assert run.results.files_sha256 == {name: file_sha256(folders["piqa"] / name)}
    assert no_network == []


@pytest.mark.slow
def test_a_task_that_generates_finds_what_our_own_form_finds(model, folders) -> None:
    tokenizer = tiny_tokenizer()
    wanted = settings("gsm8k", folders["gsm8k"], num_few_shot=2, limit=3)
    run = run_task(model, tokenizer, wanted)
    assert {(one.metric, one.filter) for one in run.results.metrics} == {
        ("exact_match", "strict-match"), ("exact_match", "flexible-extract"),
    }  # fmt: skip
    assert (run.results.n, run.results.num_items, run.results.num_few_shot) == (3, 4, 2)
    assert run.results.version == "3.0"
    assert len(run.samples) == 6  # by question and filter
    prompt = str(run.samples[0]["arguments"])
    assert prompt.count("Question: ") == 3  # two examples and the question
    data = BenchmarkRef(kind="domain_test", path=str(folders["gsm8k"] / "test.jsonl"))
    asked = BenchmarkSettings(dataset=data, form="number", max_new_tokens=256)
    plain = run_task(model, tokenizer, settings("gsm8k", folders["gsm8k"], num_few_shot=0))
    rows = read_rows(data, DomainItem)
    own = benchmark_results(evaluate_benchmark(model, tokenizer, rows, asked), asked, rows)
    found = {one.filter: one.value for one in plain.results.metrics}
    assert found["strict-match"] == own.figures["exact_match_strict"].value
    assert found["flexible-extract"] == own.figures["exact_match_flexible"].value
    assert plain.results.prompts_sha256 != run.results.prompts_sha256


@pytest.mark.slow
@pytest.mark.harness
@pytest.mark.parametrize(
    ("task", "folder", "shots"),
    [("piqa", "piqa_shots", 0), ("piqa", "piqa_shots", 3), ("gsm8k", "gsm8k", 2)],
)
def test_figures_are_those_of_the_harness_by_itself(
    task: str, folder: str, shots: int, model, folders, tmp_path: Path
) -> None:
    """Its command line, on the same files and on the task's own file with nothing but its data set
    exchanged: the same questions with the same examples, drawn alike, and the same figures."""
    tokenizer = tiny_tokenizer()
    run = run_task(model, tokenizer, settings(task, folders[folder], num_few_shot=shots))
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    figures, samples = run_command_line(task, folders[folder], shots, tmp_path)
    assert run.results.metrics
    for one in run.results.metrics:
        assert one.value == figures[f"{one.metric},{one.filter}"]
        error = figures[f"{one.metric}_stderr,{one.filter}"]
        assert one.standard_error == pytest.approx(error, rel=1e-12)
    assert len(run.samples) == len(samples)
    for ours, theirs in zip(run.samples, samples, strict=True):
        asked = [one["arg_0"] for one in theirs["arguments"].values()]
        assert [arguments[0] for arguments in ours["arguments"]] == asked
        assert str(ours["target"]) == theirs["target"]


def run_command_line(
    task: str, rows: Path, shots: int, work: Path
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """The figures and the samples, in the order of the questions."""
    described = yaml.safe_load(find_task(task).read_text())
    described |= {"task": "by_itself", "dataset_path": "json", "dataset_name": None}
    described["dataset_kwargs"] = {
        "data_files": {path.stem: str(path) for path in rows.glob("*.jsonl")}
    }
    (work / "by_itself.yaml").write_text(yaml.safe_dump(described, allow_unicode=True))
    command = [
        sys.executable, "-m", "lm_eval", "run", "--model", "hf",
        "--model_args", f"pretrained={work / 'model'},dtype=float32", "--device", "cpu",
        "--batch_size", "8", "--include_path", str(work), "--output_path", str(work / "out"),
        "--num_fewshot", str(shots), "--log_samples", "--tasks", "by_itself",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (results,) = (work / "out").rglob("results_*.json")
    (log,) = (work / "out").rglob("samples_by_itself_*.jsonl")
    return (
        json.loads(results.read_text())["results"]["by_itself"],
        [json.loads(line) for line in log.read_text().splitlines()],
    )


def test_parts_of_a_hub_are_one_split_and_a_limit_takes_the_first(model, folders) -> None:
    tokenizer = tiny_tokenizer()
    every = run_task(model, tokenizer, settings("piqa", folders["piqa_hub"])).results
    assert (every.n, len(every.files_sha256)) == (2 * NUM_ITEMS, 2)
    few = run_task(model, tokenizer, settings("piqa", folders["piqa_hub"], limit=5)).results
    assert (few.n, few.num_items) == (5, 2 * NUM_ITEMS)


def test_the_chat_template_is_ours_to_render(model, folders) -> None:
    run = run_task(
        model, tiny_tokenizer(), settings("piqa", folders["piqa"], chat_template=True, limit=2)
    )
    assert run.results.chat_template
    assert "user" in str(run.samples[0]["arguments"])


@pytest.mark.slow
def test_rows_that_are_not_here_are_named_and_never_fetched(model, no_network) -> None:
    with pytest.raises(DataError) as caught:
        run_task(model, tiny_tokenizer(), settings("piqa"))
    assert caught.value.code == "data.task_data_missing"
    for words in ("task piqa", "baber/piqa", "validation", "none were given", "by hand"):
        assert words in str(caught.value)
    assert no_network == []


def test_a_folder_without_the_split_is_named(model, folders, tmp_path: Path) -> None:
    write(tmp_path / "only/train.jsonl", json_lines(sums(random.Random(1), 2)))
    write(tmp_path / "mixed/test.jsonl", json_lines(sums(random.Random(1), 2)))
    write(tmp_path / "mixed/train.csv", "question,answer\n")
    (tmp_path / "empty").mkdir()
    for folder, words in (
        ("only", "no file of the split test"),
        ("mixed", "several formats"),
        ("empty", "no file of rows"),
    ):
        with pytest.raises(DataError) as caught:
            run_task(model, tiny_tokenizer(), settings("gsm8k", tmp_path / folder))
        assert caught.value.code == "data.task_data_missing"
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"), [("gsm9k", "gsm8k"), ("mmlu", "is a group"), ("nothing_like_it_at_all", "")]
)
def test_a_name_that_is_no_task(name: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        find_task(name)
    assert caught.value.code == "data.task_not_installed"
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "name", ["../x.yaml", "/etc/x", "a/b", "", "a b", "a\nb", ".hidden", "x" * 201]
)
def test_a_file_is_never_a_task(name: str) -> None:
    with pytest.raises(SpecError):
        settings(name)


def test_a_task_file_in_the_working_directory_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text("task: mine\n")
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "mine.yaml"):
        with pytest.raises(DataError, match="has no task"):
            find_task(name)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("gsm8k", "gsm8k/gsm8k.yaml"),
        ("AraDiCE_ArabicMMLU_high_stem_physics_lev", ""),  # its keys are quoted
        ("tmmluplus_education_(profession_level)", ""),
        ("squadv2", "squadv2/squadv2.yaml"),  # a class of the harness
    ],
)
def test_a_task_is_found_however_its_file_writes_the_name(name: str, file: str) -> None:
    settings(name)
    assert find_task(name).as_posix().endswith(file)


@pytest.mark.slow
def test_generated_code_is_not_run(model, tmp_path: Path) -> None:
    """`humaneval` runs what the model writes; whatever stops it, nothing is scored."""
    write(tmp_path / "h/test.jsonl", json_lines([{"task_id": "1", "prompt": "p", "test": "t",
          "entry_point": "f", "canonical_solution": "s"}]))  # fmt: skip
    with pytest.raises(DataError) as caught:
        run_task(model, tiny_tokenizer(), settings("humaneval", tmp_path / "h"))
    assert caught.value.code in ("data.task_unsupported", "data.task_data_missing")


@pytest.mark.slow
def test_an_evaluation_asks_tasks_beside_everything_else(
    model, folders, tmp_path: Path, context: RunContext
) -> None:
    model.save_pretrained(tmp_path / "model")
    tiny_tokenizer().save_pretrained(tmp_path / "model")
    named = {"path": str(tmp_path / "model")}
    task = {"task": "piqa", "files": {"path": str(folders["piqa"])}, "limit": 4}
    document = {"kind": "evaluate", "schema_version": 2, "model": named, "base": named}
    spec = parse_run_spec(json.dumps(document | {"harness_tasks": [task]}))
    found = evaluate.run(spec, context)
    (results,) = found.results.harness_tasks
    assert (results.task, results.n) == ("piqa", 4)
    lines = found.outputs["harness_samples"].read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 4
    accuracy = sum(row["scores"]["acc"] for row in rows) / 4
    assert accuracy == next(one.value for one in results.metrics if one.metric == "acc")
    unknown = parse_run_spec(json.dumps(document | {"harness_tasks": [{"task": "gsm9k"}]}))
    with pytest.raises(DataError, match="gsm8k"):
        evaluate.run(unknown, context)


def test_the_reference_is_of_its_own_kind() -> None:
    assert TaskFilesRef.takes == "task_files"

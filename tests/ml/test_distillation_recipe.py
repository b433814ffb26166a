"""A draft trained by the program: three objectives, resume by real signals, and what it refuses."""

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline.__main__ import main
from pipeline.contracts.manifest import newest_verified_checkpoint
from pipeline.distillation.cache import open_teacher_cache, read_manifest
from pipeline.modeling.loading import require_same_vocabulary
from pipeline.modeling.tiny import save_tiny_model

pytestmark = pytest.mark.slow
# One server imports torch once; every interrupted run is forked from it.
PROCESSES = multiprocessing.get_context("forkserver")
SIGKILL_STATUS = -9
OBJECTIVES = ("forward_kl", "ce_target_text", "ce_gold")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """One thread here and in the processes: bits depend on their number, and forking on one."""
    here = str(Path(__file__).parent)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("PYTHONPATH", os.pathsep.join([here, str(Path(__file__).parents[2])]))
        patch.syspath_prepend(here)
        PROCESSES.set_forkserver_preload(["interrupted_run"])
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A target, prompts, and the undisturbed run of each objective."""
    root = tmp_path_factory.mktemp("distill")
    save_tiny_model(root / "target")
    rows = [
        {
            "id": f"q{i}",
            "lang": "en",
            "instruction": f"Question {i}?",
            "input": "Material." if i % 3 else "",
            "output": f"Answer {i}. " * (1 + i % 4),
        }
        for i in range(30)
    ]
    (root / "prompts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for objective in OBJECTIVES:
        cache = None if objective == "forward_kl" else root / "forward_kl" / "teacher_cache"
        write_spec(root, objective, cache=cache)
        assert run_here(root / f"{objective}.json", root / objective) == 0
    return root


def write_spec(
    root: Path, objective: str, *, name: str = "", cache: Path | None = None, **changes: object
) -> Path:
    document = {
        "kind": "logit_distill",
        "seed": 5,
        "target": {"path": str(root / "target")},
        "objective": objective,
        "answers": {
            "prompts": {"path": str(root / "prompts.jsonl"), "kind": "domain_test"},
            "num_tokens": 300,
            "max_new_tokens": 24,
            "top_k_logprobs": 16,
            "batch_size": 6,
        },
        "draft": {"num_layers": 1, "hidden_size": 16},
        "num_epochs": 6,
        "optimizer": {"learning_rate": 1e-2},
        "batch": {"max_seq_length": 160, "gradient_accumulation_steps": 2},
        "checkpoint_every_steps": 3,
        "device": "cpu",
        "teacher_cache": None if cache is None else {"path": str(cache)},
    }
    path = root / f"{name or objective}.json"
    path.write_text(json.dumps({**document, **changes}))
    return path


def run_here(spec: Path, run_dir: Path, *arguments: str) -> int:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        return main(["run", str(spec), "--run-dir", str(run_dir), *arguments])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def interrupt(spec: Path, run_dir: Path, signal_name: str, moment: str, count: int) -> int:
    """Exit status of the run in a process of its own that gets the signal."""
    from interrupted_run import run_interrupted

    process = PROCESSES.Process(
        target=run_interrupted, args=(signal_name, moment, count, spec, run_dir)
    )
    process.start()
    process.join(timeout=300)
    assert process.exitcode is not None, "the run hangs"
    return process.exitcode


def report(run_dir: Path) -> dict:
    return json.loads((run_dir / "report.json").read_bytes())


def model_path(run_dir: Path) -> Path:
    return run_dir / report(run_dir)["outputs"]["model"]["path"]


def assert_same_weights(run_dir: Path, undisturbed: Path) -> None:
    weights = load_file(model_path(run_dir) / "model.safetensors")
    expected = load_file(model_path(undisturbed) / "model.safetensors")
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert report(run_dir)["results"]["acceptance"] == report(undisturbed)["results"]["acceptance"]


def test_objectives_differ_in_nothing_but_the_loss(workspace: Path) -> None:
    metrics = {objective: report(workspace / objective)["results"] for objective in OBJECTIVES}
    for name in ("steps", "trained_tokens", "parameters", "answers"):
        assert len({json.dumps(metrics[objective][name]) for objective in OBJECTIVES}) == 1, name
    assert metrics["forward_kl"]["steps"] > 6
    answers = metrics["forward_kl"]["answers"]
    assert metrics["forward_kl"]["trained_tokens"] == 6 * answers["tokens_trained"]
    assert answers["n"] - answers["n_trained"] == metrics["forward_kl"]["acceptance"]["n"]
    weights = [
        load_file(model_path(workspace / objective) / "model.safetensors")[
            "model.embed_tokens.weight"
        ]
        for objective in OBJECTIVES
    ]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])


def test_drafts_learn(workspace: Path) -> None:
    for objective in OBJECTIVES:
        metrics = report(workspace / objective)["results"]
        assert metrics["loss_last"] < 0.9 * metrics["loss_first"], objective


def test_draft_is_a_complete_checkpoint_of_the_targets_vocabulary(workspace: Path) -> None:
    path = model_path(workspace / "forward_kl")
    require_same_vocabulary(workspace / "target", path)
    draft = AutoModelForCausalLM.from_pretrained(path, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    target = AutoTokenizer.from_pretrained(workspace / "target", local_files_only=True)
    assert tokenizer.get_vocab() == target.get_vocab()
    assert tokenizer.chat_template == target.chat_template
    assert draft.config.num_hidden_layers == 1


def test_reported_acceptance_is_that_of_the_saved_draft(workspace: Path) -> None:
    draft = AutoModelForCausalLM.from_pretrained(
        model_path(workspace / "forward_kl"), local_files_only=True
    )
    cache = workspace / "forward_kl" / "teacher_cache"
    answers = open_teacher_cache(cache, read_manifest(cache).key)[::8]
    agreements = []
    for answer in answers:
        ids = np.concatenate([answer.prompt_ids, answer.answer_ids])
        with torch.no_grad():
            predicted = draft(torch.from_numpy(ids)[None]).logits[0].argmax(-1).numpy()
        start = len(answer.prompt_ids)
        agreements.append(predicted[start - 1 : -1] == answer.answer_ids)
    acceptance = report(workspace / "forward_kl")["results"]["acceptance"]
    assert acceptance["greedy_agreement"] == pytest.approx(np.concatenate(agreements).mean())
    num_tokens = sum(len(agreement) - 1 for agreement in agreements)
    for length in range(1, 7):
        rounds = sum(count_rounds(agreement[1:], length) for agreement in agreements)
        assert acceptance["block_efficiency"][str(length)] == pytest.approx(num_tokens / rounds)


def count_rounds(agreement: np.ndarray, length: int) -> int:
    """Rounds of `length` drafted tokens that decode an answer, walked one by one."""
    position = rounds = 0
    while position < len(agreement):
        block = agreement[position : position + length].tolist()
        position += (block.index(False) if False in block else len(block)) + 1
        rounds += 1
    return rounds


@pytest.mark.parametrize("objective", ["forward_kl", "ce_gold"])
def test_kill_during_training(workspace: Path, tmp_path: Path, objective: str) -> None:
    spec = workspace / f"{objective}.json"
    assert interrupt(spec, tmp_path, "SIGKILL", "optimizer_step", 5) == SIGKILL_STATUS
    assert newest_verified_checkpoint(tmp_path).name == "step-3"
    assert run_here(spec, tmp_path) == 0
    assert_same_weights(tmp_path, workspace / objective)


def test_kill_between_answers(workspace: Path, tmp_path: Path) -> None:
    spec = workspace / "forward_kl.json"
    assert interrupt(spec, tmp_path, "SIGKILL", "fsync", 6) == SIGKILL_STATUS
    assert not (tmp_path / "teacher_cache" / "manifest.json").exists()
    assert run_here(spec, tmp_path) == 0
    assert_same_weights(tmp_path, workspace / "forward_kl")


def test_sigterm_and_an_attempt_that_lies_elsewhere(workspace: Path, tmp_path: Path) -> None:
    """The cache of the first attempt is taken over: answering is most of the run's time."""
    spec = workspace / "forward_kl.json"
    first, second = tmp_path / "attempt-1", tmp_path / "attempt-2"
    assert interrupt(spec, first, "SIGTERM", "optimizer_step", 4) == 75
    resume = newest_verified_checkpoint(first)
    assert resume.name == "step-4"
    assert run_here(spec, second, "--attempt", "2", "--resume-from", str(resume)) == 0
    assert_same_weights(second, workspace / "forward_kl")
    events = [json.loads(line) for line in (second / "events.jsonl").read_bytes().splitlines()]
    assert "answers" not in {event["payload"].get("stage") for event in events}
    assert (second / "teacher_cache" / "manifest.json").exists()


def test_cache_of_other_answers_is_refused(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write_spec(
        workspace, "forward_kl", name="other", seed=6,
        cache=workspace / "forward_kl" / "teacher_cache",
    )  # fmt: skip
    assert run_here(spec, tmp_path) == 5
    assert "train.teacher_cache_mismatch" in capsys.readouterr().err


def test_prompt_longer_than_a_training_row_is_named(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write_spec(
        workspace, "forward_kl", name="short",
        batch={"max_seq_length": 60, "gradient_accumulation_steps": 2},
    )  # fmt: skip
    assert run_here(spec, tmp_path) == 3
    error = capsys.readouterr().err
    assert "data.row_invalid" in error
    assert "batch.max_seq_length 60" in error

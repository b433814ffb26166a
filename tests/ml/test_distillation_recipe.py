"""A draft trained by the program: three objectives, resume by real signals, and what it refuses."""

import json
import multiprocessing
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline.__main__ import main
from pipeline.contracts.distillation_spec import EarlyStop
from pipeline.contracts.manifest import newest_verified_checkpoint
from pipeline.data.tokenize import stop_token_ids
from pipeline.distillation.acceptance import hold_back, simulated_speedup
from pipeline.distillation.agreement import greedy_agreement
from pipeline.distillation.cache import open_teacher_cache, read_manifest
from pipeline.distillation.output_layer import OutputLayer
from pipeline.modeling.inspection import read_model
from pipeline.modeling.loading import load_tokenizer, require_same_vocabulary
from pipeline.modeling.tiny import save_tiny_model

pytestmark = pytest.mark.slow
# One server imports torch once; every interrupted run is forked from it.
PROCESSES = multiprocessing.get_context("forkserver")
SIGKILL_STATUS = -9
NUM_OUTPUT_TOKENS = 60
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
        "draft": {"num_layers": 1, "hidden_size": 16, "num_output_tokens": NUM_OUTPUT_TOKENS},
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
    for name in ("steps", "trained_tokens", "parameters", "answers", "vocabulary"):
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


def test_a_large_tail_is_told_where_the_tail_is_learned_from(workspace: Path) -> None:
    """The random target is sure of nothing: 16 of its 259 tokens leave out much."""
    assert report(workspace / "forward_kl")["results"]["answers"]["tail_mass_p95"] > 0.25
    told = {
        objective: "train.tail_mass_large" in (workspace / objective / "events.jsonl").read_text()
        for objective in OBJECTIVES
    }
    assert told == {"forward_kl": True, "ce_target_text": False, "ce_gold": False}


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
    assert draft.lm_head.weight.shape[0] == target.vocab_size


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_may_say_the_frequent_tokens_of_what_was_trained_on(
    workspace: Path, objective: str
) -> None:
    cache = workspace / "forward_kl" / "teacher_cache"
    answers = open_teacher_cache(cache, read_manifest(cache).key)
    parts = hold_back(answers)
    said = read_model(model_path(workspace / objective)).draft_vocabulary
    assert len(said) == NUM_OUTPUT_TOKENS
    counts = Counter(np.concatenate([one.answer_ids for one in parts.trained]).tolist())
    stops = set(stop_token_ids(load_tokenizer(workspace / "target")))
    assert stops <= set(said)
    assert min(counts[token] for token in set(said) - stops) >= max(
        (counts[token] for token in counts.keys() - set(said)), default=0
    )
    figures = report(workspace / objective)["results"]["vocabulary"]
    tokens = np.concatenate([one.answer_ids for one in parts.heldback])
    assert figures["coverage_heldback"] == pytest.approx(np.isin(tokens, said).mean())


def test_without_a_restriction_nothing_lies_beside_the_draft(
    workspace: Path, tmp_path: Path
) -> None:
    spec = write_spec(
        workspace, "forward_kl", name="whole", draft={"num_layers": 1, "hidden_size": 16},
        num_epochs=1, cache=workspace / "forward_kl" / "teacher_cache",
    )  # fmt: skip
    assert run_here(spec, tmp_path) == 0
    assert report(tmp_path)["results"]["vocabulary"] is None
    assert read_model(model_path(tmp_path)).draft_vocabulary is None


def test_reported_acceptance_is_that_of_the_saved_draft(workspace: Path) -> None:
    draft = AutoModelForCausalLM.from_pretrained(
        model_path(workspace / "forward_kl"), local_files_only=True
    )
    cache = workspace / "forward_kl" / "teacher_cache"
    answers = open_teacher_cache(cache, read_manifest(cache).key)[::8]
    model = read_model(model_path(workspace / "forward_kl"))
    said = np.array(model.draft_vocabulary)
    agreements = []
    for answer in answers:
        ids = np.concatenate([answer.prompt_ids, answer.answer_ids])
        with torch.no_grad():
            logits = draft(torch.from_numpy(ids)[None]).logits[0]
        # It may say the tokens of the file beside it and no other.
        predicted = said[logits[:, said].argmax(-1)]
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


EARLY_STOP = {"every_steps": 2, "patience": 2}


@pytest.fixture(scope="module")
def stopped_early(workspace: Path) -> tuple[Path, Path]:
    """(spec, undisturbed run) of a training that goes on until nothing gets better."""
    spec = write_spec(
        workspace, "forward_kl", name="early", early_stop=EARLY_STOP, num_epochs=40,
        checkpoint_every_steps=1, cache=workspace / "forward_kl" / "teacher_cache",
    )  # fmt: skip
    assert run_here(spec, workspace / "early") == 0
    return spec, workspace / "early"


def test_the_draft_that_measured_best_is_kept(
    workspace: Path, stopped_early: tuple[Path, Path]
) -> None:
    results = report(stopped_early[1])["results"]
    found = results["early_stop"]
    measured = [one["simulated_speedup"] for one in found["measured"]]
    steps = [one["step"] for one in found["measured"]]
    best = measured.index(max(measured))
    assert (found["step"], found["simulated_speedup"]) == (steps[best], measured[best])
    assert steps == list(range(2, results["steps"] + 1, 2))
    assert len(steps) == best + 1 + EARLY_STOP["patience"]  # it ended before all 40 epochs
    # The saved draft is that one: it measures what the report says of it.
    cache = workspace / "forward_kl" / "teacher_cache"
    answers = open_teacher_cache(cache, read_manifest(cache).key)
    path = model_path(stopped_early[1])
    draft = AutoModelForCausalLM.from_pretrained(path, local_files_only=True)
    parts = hold_back(answers, is_choosing=True)
    assert (found["n"], results["answers"]["n_trained"]) == (
        len(parts.choosing),
        len(parts.trained),
    )
    output = OutputLayer(np.array(read_model(path).draft_vocabulary))
    agreements = [greedy_agreement(draft, one, output) for one in parts.choosing]
    speedup = simulated_speedup(agreements, EarlyStop(**EARLY_STOP))
    assert speedup == found["simulated_speedup"]
    events = (stopped_early[1] / "events.jsonl").read_text()
    assert events.count('"simulated_speedup"') == len(steps)


@pytest.mark.recipes
@pytest.mark.parametrize("num_steps", [4, 5])
def test_a_killed_training_chooses_the_same_draft(
    stopped_early: tuple[Path, Path], tmp_path: Path, num_steps: int
) -> None:
    spec, undisturbed = stopped_early
    assert interrupt(spec, tmp_path, "SIGKILL", "optimizer_step", num_steps) == SIGKILL_STATUS
    assert newest_verified_checkpoint(tmp_path).name == f"step-{num_steps - 1}"
    assert run_here(spec, tmp_path) == 0
    assert_same_weights(tmp_path, undisturbed)
    found, expected = (report(one)["results"]["early_stop"] for one in (tmp_path, undisturbed))
    assert found == expected


@pytest.mark.recipes
def test_a_training_killed_after_its_end_keeps_its_choice(
    stopped_early: tuple[Path, Path], tmp_path: Path
) -> None:
    """Only the report is missing: the best draft is in the last checkpoint, and nothing else is."""
    spec, undisturbed = stopped_early
    shutil.copytree(undisturbed, tmp_path / "run")
    (tmp_path / "run" / "report.json").unlink()
    assert run_here(spec, tmp_path / "run") == 0
    assert_same_weights(tmp_path / "run", undisturbed)
    steps = {report(one)["results"]["steps"] for one in (tmp_path / "run", undisturbed)}
    assert len(steps) == 1
    files = {path.name for path in model_path(tmp_path / "run").iterdir()}
    assert "optimizer.safetensors" not in files


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

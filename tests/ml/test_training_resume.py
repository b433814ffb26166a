"""A run that was killed and resumed ends with the bits of one that was not.

Real processes, real SIGKILL and SIGTERM, at exact moments (`interrupted_run.py`).
"""

import json
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipeline.__main__ import main
from pipeline.contracts.manifest import newest_verified_checkpoint
from pipeline.contracts.specs import parse_spec
from pipeline.contracts.training_specs import ContinualPretrainSpec
from pipeline.data.datasets import read_rows
from pipeline.data.mixture import Source, mix, pack
from pipeline.data.records import Document
from pipeline.data.tokenize import tokenize_documents
from pipeline.modeling.tiny import save_tiny_model, tiny_tokenizer
from pipeline.training.checkpoint import TRAINER_STATE_NAME
from pipeline.training.loop import _Loop

pytestmark = pytest.mark.slow
# One server imports torch once; every interrupted run is forked from it.
PROCESSES = multiprocessing.get_context("forkserver")
SIGKILL_STATUS = -9


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
def workspace(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, data and the undisturbed results of the two kinds."""
    root = tmp_path_factory.mktemp("resume")
    save_tiny_model(root / "base")
    write_documents(root / "domain.jsonl", "Domain", 60)
    write_documents(root / "general.jsonl", "General", 30)
    write_documents(root / "heldout.jsonl", "Unseen", 4)
    write_conversations(root / "weak.jsonl", "weak", 40)
    write_conversations(root / "expert.jsonl", "expert", 30)
    for kind, document in {"cpt": cpt_spec(root), "sft": sft_spec(root)}.items():
        (root / f"{kind}.json").write_text(json.dumps(document))
        assert run_here(root / f"{kind}.json", root / f"{kind}-undisturbed") == 0
    return root


def write_documents(path: Path, word: str, count: int) -> None:
    lines = [
        json.dumps({"id": f"{word}-{i}", "lang": "en", "text": f"{word} text {i} " * (1 + i % 4)})
        for i in range(count)
    ]
    path.write_text("\n".join(lines))


def write_conversations(path: Path, word: str, count: int) -> None:
    lines = [
        json.dumps(
            {
                "id": f"{word}-{i}",
                "lang": "en",
                "messages": [
                    {"role": "user", "content": f"{word} question {i}"},
                    {"role": "assistant", "content": f"{word} answer {i} " * (1 + i % 3)},
                ],
            }
        )
        for i in range(count)
    ]
    path.write_text("\n".join(lines))


def corpus(path: Path) -> dict:
    return {"path": str(path), "kind": "corpus"}


def cpt_spec(root: Path) -> dict:
    return {
        "kind": "continual_pretrain",
        "seed": 5,
        "model": {"path": str(root / "base")},
        "sources": [
            {"name": "domain", "dataset": corpus(root / "domain.jsonl"), "weight": 3.0},
            {"name": "general", "dataset": corpus(root / "general.jsonl"), "weight": 1.0},
        ],
        "heldout": [corpus(root / "heldout.jsonl")],
        "num_tokens": 7000,
        "batch": {"max_seq_length": 48, "gradient_accumulation_steps": 10},
        "optimizer": {"learning_rate": 1e-3},
        "checkpoint_every_steps": 3,
        "device": "cpu",
    }


def sft_spec(root: Path) -> dict:
    def dataset(name: str) -> dict:
        return {"path": str(root / f"{name}.jsonl"), "kind": "conversations"}

    return {
        "kind": "curriculum_sft",
        "seed": 5,
        "model": {"path": str(root / "base")},
        "stages": [
            {"name": "weak", "datasets": [dataset("weak")], "num_tokens": 1500},
            {
                "name": "expert",
                "datasets": [dataset("expert")],
                "num_tokens": 1500,
                "replay_fraction": 0.2,
                "learning_rate_scale": 0.5,
            },
        ],
        "batch": {"max_seq_length": 160, "gradient_accumulation_steps": 2},
        "optimizer": {"learning_rate": 1e-3},
        "checkpoint_every_steps": 2,
        "device": "cpu",
    }


def run_here(spec: Path, run_dir: Path) -> int:
    """The run in this process; a resume does not need another."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        return main(["run", str(spec), "--run-dir", str(run_dir)])
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


def final_model(run_dir: Path) -> Path:
    report = json.loads((run_dir / "report.json").read_bytes())
    return run_dir / report["outputs"]["model"]["path"]


def assert_same_result(run_dir: Path, undisturbed: Path) -> None:
    weights = load_file(final_model(run_dir) / "model.safetensors")
    expected = load_file(final_model(undisturbed) / "model.safetensors")
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    progress, expected_progress = (
        json.loads((final_model(path) / TRAINER_STATE_NAME).read_bytes())["progress"]
        for path in (run_dir, undisturbed)
    )
    for phases in (progress["phases"], expected_progress["phases"]):
        for phase in phases:
            del phase["seconds"]
    # Losses of every step, tokens by source, cursors and the figures measured before training.
    assert progress == expected_progress


def epoch_of_rows(spec: ContinualPretrainSpec) -> list[int]:
    """The latest epoch of the domain source in each packed row of the run."""
    sources = [
        Source(
            name=source.name,
            weight=source.weight,
            rows=tokenize_documents(read_rows(source.dataset, Document), tiny_tokenizer()),
        )
        for source in spec.sources
    ]
    arguments = {"max_seq_length": spec.batch.max_seq_length, "seed": spec.seed}
    rows = pack(mix(sources, num_tokens=spec.num_tokens, **arguments), **arguments)
    return [max((p.epoch for p in row if p.source == 0), default=0) for row in rows]


def test_the_undisturbed_run_is_worth_resuming(workspace: Path) -> None:
    """More than two epochs, a dozen steps and a loss that falls: the comparison means something."""
    report = json.loads((workspace / "cpt-undisturbed" / "report.json").read_bytes())
    metrics = report["results"]
    assert metrics["steps"] >= 12
    assert metrics["epochs_by_source"]["domain"] > 2
    [heldout] = metrics["heldout"]
    assert heldout["after"]["bits_per_byte"] < heldout["before"]["bits_per_byte"] - 1
    assert metrics["tokens"] == sum(metrics["tokens_by_source"].values()) >= 7000
    assert metrics["tokens_by_source"]["domain"] == pytest.approx(5250, abs=100)
    sft = json.loads((workspace / "sft-undisturbed" / "report.json").read_bytes())["results"]
    assert [stage["name"] for stage in sft["stages"]] == ["weak", "expert"]
    assert sft["stages"][1]["tokens_by_source"]["weak"] == pytest.approx(300, abs=100)


@pytest.mark.parametrize("moment", ["in the first epoch", "just after an epoch boundary"])
def test_kill_during_continual_pretraining(workspace: Path, tmp_path: Path, moment: str) -> None:
    spec_path = workspace / "cpt.json"
    spec = parse_spec(spec_path.read_bytes())
    epochs = epoch_of_rows(spec)
    rows_per_step = spec.batch.gradient_accumulation_steps
    boundary = next(row for row, epoch in enumerate(epochs) if epoch == 1) // rows_per_step + 1
    steps = 2 if moment == "in the first epoch" else boundary
    assert interrupt(spec_path, tmp_path, "SIGKILL", "optimizer_step", steps) == SIGKILL_STATUS
    resumable = newest_verified_checkpoint(tmp_path)
    assert (resumable is None) == (steps < spec.checkpoint_every_steps)
    assert run_here(spec_path, tmp_path) == 0
    assert_same_result(tmp_path, workspace / "cpt-undisturbed")


@pytest.mark.parametrize("steps", [3, 8], ids=["in stage 1", "in stage 2"])
def test_kill_during_fine_tuning(workspace: Path, tmp_path: Path, steps: int) -> None:
    undisturbed = json.loads((workspace / "sft-undisturbed" / "report.json").read_bytes())
    first_stage = undisturbed["results"]["stages"][0]["steps"]
    assert (steps > first_stage + 1) == (steps == 8)
    spec = workspace / "sft.json"
    assert interrupt(spec, tmp_path, "SIGKILL", "optimizer_step", steps) == SIGKILL_STATUS
    assert newest_verified_checkpoint(tmp_path) is not None
    assert run_here(spec, tmp_path) == 0
    assert_same_result(tmp_path, workspace / "sft-undisturbed")


@pytest.mark.parametrize(
    ("call", "survivor"),
    [(17, "step-3"), (23, "step-3"), (24, "step-6")],
    ids=["among the files", "before the rename", "after the rename"],
)
def test_kill_during_the_second_checkpoint_write(
    workspace: Path, tmp_path: Path, call: int, survivor: str
) -> None:
    # The spec and its directory are 2; one checkpoint flushes 9 files, its directory and, renamed,
    # the parent: 11.
    spec = workspace / "cpt.json"
    assert interrupt(spec, tmp_path, "SIGKILL", "fsync", call) == SIGKILL_STATUS
    newest = newest_verified_checkpoint(tmp_path)
    assert newest is not None
    assert newest.name == survivor
    assert run_here(spec, tmp_path) == 0
    assert_same_result(tmp_path, workspace / "cpt-undisturbed")
    assert [path.name for path in newest.parent.iterdir()] == [final_model(tmp_path).name]


def test_sigterm_stops_at_a_checkpoint_with_status_75(workspace: Path, tmp_path: Path) -> None:
    spec = workspace / "sft.json"
    assert interrupt(spec, tmp_path, "SIGTERM", "optimizer_step", 3) == 75
    newest = newest_verified_checkpoint(tmp_path)
    assert newest is not None
    assert newest.name == "step-3"  # not at the cadence of 2: saved because of the signal
    last = json.loads((tmp_path / "events.jsonl").read_bytes().splitlines()[-1])
    assert last["kind"] == "RunStopped"
    assert run_here(spec, tmp_path) == 0
    assert_same_result(tmp_path, workspace / "sft-undisturbed")


def test_resume_from_an_attempt_that_lies_elsewhere(workspace: Path, tmp_path: Path) -> None:
    """The platform gives each attempt a directory; the final model lies in the last one's."""
    spec = workspace / "cpt.json"
    first, second = tmp_path / "attempt-1", tmp_path / "attempt-2"
    assert interrupt(spec, first, "SIGKILL", "optimizer_step", 7) == SIGKILL_STATUS
    arguments = ["run", str(spec), "--run-dir", str(second), "--attempt", "2"]
    assert main([*arguments, "--resume-from", str(newest_verified_checkpoint(first))]) == 0
    assert_same_result(second, workspace / "cpt-undisturbed")


def test_no_row_is_skipped_or_seen_twice_over_a_resume(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the loss saw, step by step, in both attempts: together it is the whole plan, once."""
    spec_path = workspace / "cpt.json"
    assert interrupt(spec_path, tmp_path, "SIGTERM", "optimizer_step", 4) == 75
    seen: list[tuple[str, ...]] = []
    take_step = _Loop._take_step

    def recording(self, phase, figures, *arguments):
        seen.extend(batch.row_ids for batch in phase.batches.micro_batches(figures.num_steps))
        return take_step(self, phase, figures, *arguments)

    monkeypatch.setattr(_Loop, "_take_step", recording)
    assert run_here(spec_path, tmp_path) == 0
    resumed, seen = seen, []
    assert run_here(spec_path, tmp_path / "whole") == 0
    rows_per_step = parse_spec(spec_path.read_bytes()).batch.gradient_accumulation_steps
    assert resumed == seen[4 * rows_per_step :]
    # And in the whole run each document comes as often as every other, to within one epoch.
    counts = Counter(row_id for row in seen for row_id in row if row_id.startswith("Domain"))
    pieces = {f"Domain-{i}": -(-len(f"Domain text {i} " * (1 + i % 4)) // 48) for i in range(60)}
    epochs = [counts[name] / pieces[name] for name in pieces]
    assert max(epochs) - min(epochs) <= 1

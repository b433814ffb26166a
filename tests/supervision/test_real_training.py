"""The real pipeline behind the real supervisor: kills leave no trace in the weights."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.modeling.tiny import save_tiny_model

ROOT = Path(__file__).resolve().parents[2]


def write_corpus(path: Path) -> None:
    rows = [
        {
            "id": f"document-{number}",
            "text": f"Group {number} reports revenue of {number * 37 % 101} million. " * 4,
            "lang": "en",
            "source": "test",
            "license": "CC0-1.0",
            "meta": {},
        }
        for number in range(60)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")


def training_spec(directory: Path) -> dict[str, Any]:
    dataset = {"path": str(directory / "corpus.jsonl"), "kind": "corpus"}
    return {
        "kind": "continual_pretrain",
        "model": {"path": str(directory / "base")},
        "sources": [{"name": "domain", "dataset": dataset, "weight": 1.0}],
        # 312 steps: the last kill, behind step 120, must find a training even on a busy machine.
        "num_tokens": 40_000,
        "optimizer": {"learning_rate": 0.001},
        "batch": {"max_seq_length": 128, "gradient_accumulation_steps": 1},
        "checkpoint_every_steps": 10,
    }


def weights_digest(run_dir: Path) -> str:
    report = json.loads((run_dir / "report.json").read_text())
    weights = run_dir / report["outputs"]["model"]["path"] / "model.safetensors"
    return hashlib.sha256(weights.read_bytes()).hexdigest()


@pytest.mark.recipes
@pytest.mark.slow
def test_weights_are_bit_equal_after_kills_of_child_supervisor_and_worker(
    training_platform: Any, request: pytest.FixtureRequest
) -> None:
    platform = training_platform
    models = platform.data_dir / "models"
    save_tiny_model(models / "base")
    write_corpus(models / "corpus.jsonl")
    spec = training_spec(models)
    (models / "spec.json").write_text(json.dumps(spec))
    undisturbed_dir = platform.data_dir / "undisturbed"
    undisturbed = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "run", str(models / "spec.json"),
         "--run-dir", str(undisturbed_dir)],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    request.addfinalizer(undisturbed.kill)
    (run_id,) = platform.start_runs(spec)
    kills = [
        lambda: platform.pid_of_child(run_id),
        lambda: platform.parent(platform.pid_of_child(run_id)),
        lambda: platform.pid_of("workers worker compute-0"),
    ]
    for number, victim in enumerate(kills, start=1):
        reached, following = 40 * number, number + 1
        platform.wait(lambda step=reached: platform.last_checkpoint(run_id) >= step, seconds=120)
        os.kill(victim(), signal.SIGKILL)
        platform.wait(lambda n=following: platform.run(run_id)["attempt"] == n, seconds=60)
    platform.wait_for_state(run_id, "succeeded", "failed", seconds=120)

    assert platform.run(run_id)["error_message"] == ""
    attempts = platform.attempts(run_id)
    assert len(attempts) == 4
    assert all(attempt["resumed_from"] for attempt in attempts[1:])
    assert undisturbed.wait(timeout=120) == 0
    disturbed_dir = platform.data_dir / "runs" / str(run_id) / "attempt-4"
    assert weights_digest(disturbed_dir) == weights_digest(undisturbed_dir)

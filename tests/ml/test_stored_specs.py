"""Run directories that an earlier version began go on as themselves."""

import json
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.contracts.codec import bytes_digest, canonical_bytes, canonical_json
from pipeline.contracts.documents import read_spec
from pipeline.contracts.events import RunStarted, parse_event
from pipeline.modeling.tiny import save_tiny_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory) -> dict:
    """A decoding benchmark as version 1 stored it, every default written out."""
    folder = tmp_path_factory.mktemp("inputs")
    rows = [
        {"id": f"q{i}", "lang": "en", "instruction": "why?" * i, "input": "", "output": "because"}
        for i in (1, 2)
    ]
    data = folder / "d.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    golden = Path(__file__).parents[1] / "contract/golden/v1/speculative_decode.spec.json"
    document = json.loads(golden.read_bytes())
    reference = {"digest": None, "from_step": None, "output": "model"}
    return document | {
        "target": reference | {"path": str(save_tiny_model(folder / "model"))},
        "drafts": [],
        "prompts": document["prompts"] | {"path": str(data), "digest": None, "where": []},
        "num_prompts": 1,
        "max_new_tokens": 4,
        "num_repeats": 1,
        "engine": "torch",
        "device": "cpu",
    }


def run(document: bytes, run_dir: Path) -> int:
    request = run_dir.with_suffix(".request.json")
    request.parent.mkdir(parents=True, exist_ok=True)
    request.write_bytes(document)
    return main(["run", str(request), "--run-dir", str(run_dir)])


def report_digest(run_dir: Path) -> str:
    return json.loads((run_dir / "report.json").read_bytes())["spec_digest"]


def test_a_run_directory_keeps_the_document_it_was_started_with(tmp_path, benchmark) -> None:
    run_dir, written = tmp_path / "run", canonical_bytes(benchmark)
    assert run(written, run_dir) == 0
    assert (run_dir / "spec.json").read_bytes() == written + b"\n"
    assert report_digest(run_dir) == bytes_digest(written)

    # Interrupted, and asked for again in the words of today.
    (run_dir / "report.json").unlink()
    today = canonical_json(read_spec(written).spec)
    assert today != written
    assert run(today, run_dir) == 0
    assert (run_dir / "spec.json").read_bytes() == written + b"\n"
    assert report_digest(run_dir) == bytes_digest(written)
    events = [parse_event(line) for line in (run_dir / "events.jsonl").read_bytes().splitlines()]
    started = [event.payload for event in events if isinstance(event.payload, RunStarted)]
    assert [one.spec_digest for one in started] == [bytes_digest(written)] * 2


def test_another_spec_is_refused_in_either_version(tmp_path, benchmark, capsys) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    (run_dir / "spec.json").write_bytes(canonical_bytes(benchmark))
    other = canonical_bytes(benchmark | {"num_repeats": 2})
    assert run(other, run_dir) == 2
    assert run(canonical_json(read_spec(other).spec), run_dir) == 2
    assert "holds the run of another spec" in capsys.readouterr().err


def test_a_finished_step_of_a_stored_plan_is_kept(tmp_path, benchmark) -> None:
    plan_dir, step_dir = tmp_path / "plan", tmp_path / "plan/steps/bench"
    gate = {"metric": "metrics.losslessness.is_lossless", "operator": "equal", "value": True}
    step = {"id": "bench", "spec": benchmark, "needs": [], "gates": [gate]}
    plan = {"kind": "plan", "schema_version": 1, "name": "", "seed": 0, "steps": [step]}
    written = canonical_bytes(plan)
    assert run(canonical_bytes(benchmark), step_dir) == 0
    finished = (step_dir / "report.json").read_bytes()

    assert run(written, plan_dir) == 0
    assert (plan_dir / "spec.json").read_bytes() == written + b"\n"
    assert report_digest(plan_dir) == bytes_digest(written)
    results = json.loads((plan_dir / "report.json").read_bytes())["results"]
    assert results["steps"]["bench"]["kept"]
    assert (step_dir / "report.json").read_bytes() == finished
    assert (step_dir / "spec.json").read_bytes() == canonical_bytes(benchmark) + b"\n"

"""The whole decoding benchmark through vLLM, and the demonstration's gate on what it reports."""

import json
from pathlib import Path

import pytest
import torch

from pipeline.__main__ import main
from pipeline.contracts.decoding_results import SpeculativeDecodeResults
from pipeline.contracts.events import RunWarning, parse_event
from pipeline.contracts.plans import check_gates
from pipeline.contracts.reports import Report
from pipeline.demo.plan import LOSSLESS
from pipeline.modeling.tiny import tiny_llama, tiny_tokenizer

NUM_PROMPTS = 4
DRAFT_LENGTH = 2
ECHO = 0.08
"""With layers scaled so far down the next token follows from the last few: answers run in cycles,
so that lookup is right about as often as it is wrong."""


def repetitive_model(directory: Path, *, noise: float = 0.0) -> Path:
    model = tiny_llama(hidden_size=128)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight *= ECHO
            layer.mlp.down_proj.weight *= ECHO
        for parameter in model.parameters():
            parameter += noise * torch.randn(parameter.shape, generator=generator)
    model.save_pretrained(directory)
    tiny_tokenizer().save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run: a draft, in 8 bits too, and lookup against a target that repeats itself."""
    folder = tmp_path_factory.mktemp("benchmark")
    target_path = repetitive_model(folder / "target")
    draft_path = repetitive_model(folder / "draft", noise=0.006)
    rows = [
        {"id": f"q{i}", "lang": "en", "instruction": text * 4, "input": "", "output": "because"}
        for i, text in enumerate(("why is it so? ", "what is it? ", "how? ", "when was it? "))
    ]
    questions = folder / "questions.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    spec = {
        "kind": "speculative_decode",
        "target": {"path": str(target_path)},
        "arms": [
            {"method": "draft_model", "name": "draft", "model": {"path": str(draft_path)}},
            {"method": "int8_draft", "name": "int8", "model": {"path": str(draft_path)}},
            {"method": "ngram", "max_ngram": 3, "min_ngram": 1},
        ],
        "prompts": {"kind": "domain_test", "path": str(questions)},
        "num_prompts": NUM_PROMPTS,
        "max_new_tokens": 24,
        "num_speculative_tokens": DRAFT_LENGTH,
        "num_repeats": 2,
        "engine": "vllm",
        "device": "cpu",
    }
    document = folder / "spec.json"
    document.write_text(json.dumps(spec), encoding="utf-8")
    assert main(["run", str(document), "--run-dir", str(folder / "run")]) == 0
    return folder / "run"


def test_its_certificates_say_why_sampling_was_not_tested(run_dir: Path) -> None:
    for path in (run_dir / "certificates").iterdir():
        tested = json.loads(path.read_bytes())["sampling_test"]
        assert (tested["verdict"], "samples wrongly on a CPU" in tested["reason"]) == (
            "not_run",
            True,
        )


@pytest.fixture(scope="module")
def report(run_dir: Path) -> Report:
    return Report.parse((run_dir / "report.json").read_bytes())


@pytest.fixture(scope="module")
def results(report: Report) -> SpeculativeDecodeResults:
    assert isinstance(report.results, SpeculativeDecodeResults)
    return report.results


def test_every_arm_is_lossless(results: SpeculativeDecodeResults, run_dir: Path) -> None:
    checked = results.losslessness
    assert checked is not None
    assert checked.is_lossless
    assert set(checked.arms) == {"draft", "int8", "ngram"}
    for counts in (*checked.arms.values(), checked.autoregressive_batch_1_vs_8):
        assert counts.num_prompts == NUM_PROMPTS
        assert counts.num_identical + counts.num_near_ties == NUM_PROMPTS
    events = [parse_event(line) for line in (run_dir / "events.jsonl").read_bytes().splitlines()]
    assert not [event for event in events if isinstance(event.payload, RunWarning)]


def test_the_demonstrations_gate_holds(report: Report) -> None:
    check_gates("speculative_decode", (LOSSLESS,), report)


def test_arms_are_measured_and_costs_are_not_guessed(results: SpeculativeDecodeResults) -> None:
    assert list(results.arms) == ["autoregressive", "draft", "int8", "ngram"]
    assert (results.engine, results.interleaved, results.headline_arm) == ("vllm", False, "draft")
    for arm in results.arms.values():
        assert arm.num_output_tokens == results.arms["autoregressive"].num_output_tokens
        assert arm.costs is None
        assert arm.predicted_speedup is None
    for name in ("draft", "int8", "ngram"):
        arm = results.arms[name]
        assert arm.speedup is not None
        assert (arm.speedup.n, arm.speedup.resampled) == (NUM_PROMPTS, "prompt")
        assert arm.num_speculative_tokens == DRAFT_LENGTH
        assert arm.draft_acceptance_rate is not None
        assert 0 < arm.draft_acceptance_rate < 1, "both acceptance and rejection must occur"
        assert arm.block_efficiency is not None
        assert 1 < arm.block_efficiency <= 1 + DRAFT_LENGTH

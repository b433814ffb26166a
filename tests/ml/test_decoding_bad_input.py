"""What a decoding benchmark is given and cannot use: a code, a name, and never a number."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from pipeline.__main__ import main
from pipeline.contracts.decoding_spec import AUTOREGRESSIVE
from pipeline.contracts.events import RunFailed, RunWarning, parse_event
from pipeline.contracts.reports import parse_report
from pipeline.contracts.specs import parse_run_spec
from pipeline.decoding.speculative import SpeculativeEngine
from pipeline.errors import DecodingError, SpecError
from pipeline.evaluation import decoding_benchmark
from pipeline.modeling.loading import load_model
from pipeline.modeling.tiny import save_tiny_model, tiny_llama, tiny_tokenizer

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


def saved(path: Path, model) -> Path:
    model.save_pretrained(path)
    tiny_tokenizer().save_pretrained(path)
    return path


def with_nan(path: Path, place: str) -> Path:
    model = tiny_llama(seed=1)
    with torch.no_grad():
        weight = dict(model.named_parameters())[place]
        weight.view(-1)[-1] = float("nan") if "norm" not in place else float("inf")
    return saved(path, model)


@pytest.fixture(scope="module")
def target(tmp_path_factory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model") / "target")


@pytest.fixture
def decode(target, tmp_path, capsys):
    """Runs a benchmark of one draft at the command line: (status, stderr, run directory)."""

    def decode(draft: Path, **changes):
        document = tmp_path / "spec.json"
        document.write_text(json.dumps(spec(target, draft, tmp_path) | changes), encoding="utf-8")
        run_dir = tmp_path / "run"
        status = main(["run", str(document), "--run-dir", str(run_dir)])
        return status, capsys.readouterr().err, run_dir

    return decode


def spec(target: Path, draft: Path, folder: Path) -> dict:
    data = folder / "prompts.jsonl"
    rows = [
        {"id": f"q{i}", "lang": "en", "instruction": "why? " * i, "input": "", "output": "so"}
        for i in (1, 2, 3, 4)
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {
        "kind": "speculative_decode",
        "target": {"path": str(target)},
        "arms": [{"method": "draft_model", "name": "draft", "model": {"path": str(draft)}}],
        "prompts": {"kind": "domain_test", "path": str(data)},
        "num_prompts": 3,
        "max_new_tokens": 8,
        "num_speculative_tokens": 2,
        "num_repeats": 2,
        "device": "cpu",
    }


def payloads(run_dir: Path) -> list:
    lines = (run_dir / "events.jsonl").read_bytes().splitlines()
    return [parse_event(line).payload for line in lines]


def assert_failed(run_dir: Path, code: str) -> None:
    """The run ended by that code, and says nothing else: no report, no certificate."""
    last = payloads(run_dir)[-1]
    assert isinstance(last, RunFailed)
    assert last.code == code
    assert not (run_dir / "report.json").exists()
    assert not (run_dir / "certificates").exists()


@pytest.mark.parametrize(
    "place",
    ["model.embed_tokens.weight", "model.layers.1.mlp.down_proj.weight", "model.norm.weight"],
)
def test_a_draft_with_nan_is_named(decode, tmp_path, place) -> None:
    status, error, run_dir = decode(with_nan(tmp_path / "nan", place))
    assert status == 4
    assert f"error[model.corrupt_file]: {tmp_path / 'nan'}: the weight {place} holds NaN" in error
    assert_failed(run_dir, "model.corrupt_file")


def test_a_target_with_nan_is_named(decode, tmp_path, target) -> None:
    broken = with_nan(tmp_path / "nan", "model.layers.0.self_attn.q_proj.weight")
    status, error, run_dir = decode(target, target={"path": str(broken)})
    assert status == 4
    assert "layers.0.self_attn.q_proj.weight holds NaN" in error
    assert_failed(run_dir, "model.corrupt_file")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ({"vocab_size": 200}, "model.vocabulary_mismatch", "259 tokens"),
        ({"max_position_embeddings": 24}, "decode.context_too_long", "the draft's 24"),
    ],
)
def test_a_draft_that_does_not_fit_the_target(decode, tmp_path, options, code, said) -> None:
    draft = tmp_path / "draft"
    tiny_llama(**options).save_pretrained(draft)
    status, error, run_dir = decode(draft)
    assert status != 0
    assert f"error[{code}]" in error
    assert said in error
    assert_failed(run_dir, code)


def test_a_larger_draft_is_measured_and_said_so(decode, tmp_path) -> None:
    larger = saved(tmp_path / "larger", tiny_llama(num_layers=4, seed=3))
    status, _, run_dir = decode(larger)
    assert status == 0
    warnings = [one for one in payloads(run_dir) if isinstance(one, RunWarning)]
    assert [one.code for one in warnings] == ["decode.draft_larger"]
    report = parse_report((run_dir / "report.json").read_bytes())
    assert report.results.arms["draft"].speedup is not None


def contrary(target: Path, path: Path) -> Path:
    """A draft that takes the target's least likely token: it always disagrees."""
    model = load_model(target)
    weights = dict(model.state_dict())
    config = model.config
    config.tie_word_embeddings = False
    other = AutoModelForCausalLM.from_config(config)
    other.load_state_dict(weights | {"lm_head.weight": -weights["model.embed_tokens.weight"]})
    return saved(path, other)


def test_a_draft_that_always_disagrees_is_reported_as_it_is(decode, tmp_path, target) -> None:
    status, _, run_dir = decode(contrary(target, tmp_path / "contrary"), max_new_tokens=16)
    assert status == 0
    results = parse_report((run_dir / "report.json").read_bytes()).results
    draft, plain = results.arms["draft"], results.arms[AUTOREGRESSIVE]
    assert draft.draft_acceptance_rate == 0
    assert draft.block_efficiency == 1
    assert results.losslessness.is_lossless
    # Every token costs a draft besides: below 1 on any machine, and nothing cuts it off there.
    assert draft.speedup.value < 1
    assert draft.predicted_speedup < 1
    assert draft.tokens_per_second < plain.tokens_per_second


def test_an_engine_that_dies_is_a_failed_run(decode, target, monkeypatch) -> None:
    calls = []

    class Dying(SpeculativeEngine):
        def generate(self, prompts, params):
            calls.append(prompts)
            if len(calls) == 4:
                raise DecodingError("decode.engine_failed", "the engine's process was killed")
            return super().generate(prompts, params)

    monkeypatch.setattr(decoding_benchmark, "SpeculativeEngine", Dying)
    status, error, run_dir = decode(target)
    assert status == 6
    assert "error[decode.engine_failed]" in error
    assert len(calls) == 4
    assert_failed(run_dir, "decode.engine_failed")


@pytest.mark.recipes
def test_a_killed_run_leaves_no_number_and_starts_over(target, tmp_path) -> None:
    document, run_dir = tmp_path / "spec.json", tmp_path / "run"
    document.write_text(
        json.dumps(spec(target, target, tmp_path) | {"num_repeats": 3}), encoding="utf-8"
    )
    command = [sys.executable, "-m", "pipeline", "run", str(document), "--run-dir", str(run_dir)]
    with subprocess.Popen(
        [*command], cwd=ROOT, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"}
    ) as child:
        events = run_dir / "events.jsonl"
        while child.poll() is None and not (
            events.exists() and b'"Progress"' in events.read_bytes()
        ):
            time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    assert not (run_dir / "report.json").exists()
    assert not (run_dir / "certificates").exists()
    assert not any(isinstance(one, RunFailed) for one in payloads(run_dir))
    again = subprocess.run([*command, "--attempt", "2"], cwd=ROOT, check=False, capture_output=True)
    assert again.returncode == 0, again.stderr
    assert parse_report((run_dir / "report.json").read_bytes()).results.num_repeats == 3


def test_an_option_that_nothing_honours_is_named(target, tmp_path) -> None:
    with pytest.raises(SpecError, match="top_p"):
        parse_run_spec(json.dumps(spec(target, target, tmp_path) | {"top_p": 0.9}))

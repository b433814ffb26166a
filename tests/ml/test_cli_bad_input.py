"""Bad input at the command line: a code, the place, a remedy, an exit status; nothing half-done."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from pipeline.__main__ import main
from pipeline.contracts.events import parse_event
from pipeline.contracts.kinds import RUN_KINDS
from pipeline.modeling.tiny import save_tiny_model

GOLDEN = Path(__file__).parents[1] / "contract" / "golden"


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


def corpus(path: Path, *texts: str) -> Path:
    rows = [{"id": f"d{i}", "lang": "zh", "text": text} for i, text in enumerate(texts)]
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    return path


def cpt(model: Path, data: Path, **changes) -> dict:
    dataset = {"kind": "corpus", "path": str(data)}
    return {
        "kind": "continual_pretrain",
        "model": {"path": str(model)},
        "sources": [{"name": "domain", "weight": 1.0, "dataset": dataset}],
        "num_tokens": 256,
        "batch": {"max_seq_length": 32, "gradient_accumulation_steps": 1},
        "optimizer": {"learning_rate": 1e-3},
        "device": "cpu",
    } | changes


def run(tmp_path: Path, spec: dict | str, capsys) -> tuple[int, str, Path]:
    """(exit status, standard error, run directory) of one run."""
    document = tmp_path / "spec.json"
    document.write_text(spec if isinstance(spec, str) else json.dumps(spec), encoding="utf-8")
    run_dir = tmp_path / "run"
    status = main(["run", str(document), "--run-dir", str(run_dir)])
    return status, capsys.readouterr().err, run_dir


def terminal_code(run_dir: Path) -> str:
    events = [parse_event(line) for line in (run_dir / "events.jsonl").read_bytes().splitlines()]
    terminal = [event for event in events if event.kind in {"RunSucceeded", "RunFailed"}]
    assert terminal == events[-1:], "exactly one terminal event, the last"
    return events[-1].payload.code


def test_a_missing_model(tmp_path, capsys) -> None:
    spec = cpt(tmp_path / "nowhere", corpus(tmp_path / "d.jsonl", "国有资产"))
    status, error, run_dir = run(tmp_path, spec, capsys)
    assert status == 4
    assert "error[model.not_found]" in error
    assert str(tmp_path / "nowhere") in error
    assert terminal_code(run_dir) == "model.not_found"
    assert not (run_dir / "report.json").exists()


@pytest.mark.parametrize("kind", ["python", "pickle", "pickle_in_disguise"])
def test_a_model_directory_with_code_or_pickle(tmp_path, capsys, kind) -> None:
    model = save_tiny_model(tmp_path / "model")
    canary = tmp_path / "canary"
    if kind == "python":
        (model / "modeling_evil.py").write_text(f"open({str(canary)!r}, 'w').close()\n")
    else:

        class Evil:
            def __reduce__(self):
                return open, (str(canary), "w")

        name = "pytorch_model.bin" if kind == "pickle" else "extra.safetensors"
        (model / name).write_bytes(pickle.dumps(Evil()))
    spec = cpt(model, corpus(tmp_path / "d.jsonl", "国有资产"))
    status, error, _ = run(tmp_path, spec, capsys)
    assert status == 4
    assert "error[model." in error
    assert "modeling_evil.py" in error or "pytorch_model.bin" in error or "extra" in error
    assert not canary.exists(), "something in the directory was executed"


def test_an_empty_file(tmp_path, capsys, model_dir) -> None:
    status, error, _ = run(tmp_path, cpt(model_dir, corpus(tmp_path / "d.jsonl")), capsys)
    assert (status, "error[data.empty]" in error) == (3, True)
    assert "d.jsonl" in error


def test_a_gbk_file_names_the_byte_and_the_remedy(tmp_path, capsys, model_dir) -> None:
    data = tmp_path / "d.jsonl"
    row = {"id": "d0", "lang": "zh", "text": "国有资产监督管理"}
    data.write_bytes((json.dumps(row, ensure_ascii=False) + "\n").encode("gb18030"))
    status, error, _ = run(tmp_path, cpt(model_dir, data), capsys)
    assert (status, "error[data.encoding]" in error) == (3, True)
    assert "gb18030" in error
    spec = cpt(model_dir, data)
    spec["sources"][0]["dataset"]["encoding"] = "gb18030"
    (tmp_path / "again").mkdir()
    status, error, _ = run(tmp_path / "again", spec, capsys)
    assert status == 0, error


def test_a_broken_line_is_named_by_line_and_column(tmp_path, capsys, model_dir) -> None:
    data = corpus(tmp_path / "d.jsonl", "国有资产", "国有企业")
    lines = data.read_text(encoding="utf-8").splitlines()
    lines[1] = lines[1].replace('"lang": "zh",', '"lang": "zh"')
    data.write_text("\n".join(lines) + "\n", encoding="utf-8")
    status, error, _ = run(tmp_path, cpt(model_dir, data), capsys)
    assert (status, "error[data.json_syntax]" in error) == (3, True)
    assert "d.jsonl:2:" in error


def test_a_row_whose_mask_leaves_nothing(tmp_path, capsys, model_dir) -> None:
    data = tmp_path / "d.jsonl"
    row = {"id": "long", "lang": "en", "instruction": "why " * 100, "input": "", "output": "yes"}
    data.write_text(json.dumps(row) + "\n", encoding="utf-8")
    stage = {
        "name": "expert",
        "num_tokens": 64,
        "datasets": [{"kind": "domain_test", "path": str(data)}],
    }
    spec = cpt(model_dir, data) | {"kind": "curriculum_sft", "stages": [stage]}
    del spec["sources"], spec["num_tokens"]
    status, error, _ = run(tmp_path, spec, capsys)
    assert (status, "error[data.mask_empty]" in error) == (3, True)
    assert "'long'" in error


def test_an_unknown_key(tmp_path, capsys, model_dir) -> None:
    spec = cpt(model_dir, corpus(tmp_path / "d.jsonl", "国有资产"), num_tokns=3)
    status, error, run_dir = run(tmp_path, spec, capsys)
    assert (status, "error[spec.invalid]" in error) == (2, True)
    assert "num_tokns" in error
    assert not run_dir.exists()


@pytest.mark.parametrize("kind", [*RUN_KINDS, "plan"])
def test_a_world_of_two_processes(tmp_path, capsys, monkeypatch, kind) -> None:
    """Both would train on every row, in the same directory."""
    golden = json.loads((GOLDEN / f"{kind}.json").read_text(encoding="utf-8"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    status, error, run_dir = run(tmp_path, golden["written"], capsys)
    assert (status, "error[launch.world_size_unsupported]" in error) == (10, True)
    assert "WORLD_SIZE is 2" in error
    assert not run_dir.exists()


def test_a_launcher_of_one_process(tmp_path, capsys, monkeypatch, model_dir) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    data = corpus(tmp_path / "d.jsonl", "国有资产监督管理" * 8)
    status, error, _ = run(tmp_path, cpt(model_dir, data, num_tokens=64), capsys)
    assert status == 0, error


def test_a_spec_that_is_not_json(tmp_path, capsys) -> None:
    status, error, run_dir = run(tmp_path, '{"kind": ', capsys)
    assert (status, "error[spec.invalid]" in error) == (2, True)
    assert not run_dir.exists()


def test_a_diverging_loss_names_the_step(tmp_path, capsys, model_dir) -> None:
    data = corpus(tmp_path / "d.jsonl", *["国有资产监督管理" * 8] * 8)
    spec = cpt(
        model_dir,
        data,
        num_tokens=2048,
        optimizer={"learning_rate": 1.0, "max_grad_norm": 1e9, "warmup_fraction": 0.0},
    )
    status, error, run_dir = run(tmp_path, spec, capsys)
    assert (status, "error[train.diverged]" in error) == (5, True)
    assert "step" in error
    assert terminal_code(run_dir) == "train.diverged"


def test_drafts_of_another_vocabulary(tmp_path, capsys, model_dir) -> None:
    other = save_tiny_model(tmp_path / "other")
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    from pipeline.modeling.tiny import tiny_llama

    tiny_llama(vocab_size=config["vocab_size"] + 8).save_pretrained(other)
    data = tmp_path / "d.jsonl"
    row = {"id": "q", "lang": "en", "instruction": "why?", "input": "", "output": "because"}
    data.write_text(json.dumps(row) + "\n", encoding="utf-8")
    spec = {
        "kind": "speculative_decode",
        "target": {"path": str(model_dir)},
        "arms": [{"method": "draft_model", "name": "draft", "model": {"path": str(other)}}],
        "prompts": {"kind": "domain_test", "path": str(data)},
        "num_prompts": 1,
        "device": "cpu",
    }
    status, error, _ = run(tmp_path, spec, capsys)
    assert (status, "error[model.vocabulary_mismatch]" in error) == (4, True)


@pytest.mark.parametrize(
    "kind", ["continual_pretrain", "logit_distill", "evaluate", "speculative_decode"]
)
def test_a_gpu_that_is_not_there(tmp_path, capsys, model_dir, monkeypatch, kind) -> None:
    """Decoding used to accept it and die inside torch."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    model = {"path": str(model_dir)}
    data = tmp_path / "d.jsonl"
    row = {"id": "q", "lang": "en", "instruction": "why?", "input": "", "output": "because"}
    data.write_text(json.dumps(row) + "\n", encoding="utf-8")
    questions = {"kind": "domain_test", "path": str(data)}
    spec = {
        "continual_pretrain": lambda: cpt(model_dir, corpus(data, "国有资产")),
        "logit_distill": lambda: {
            "target": model,
            "answers": {"prompts": questions, "num_tokens": 64, "max_new_tokens": 8},
            "draft": {"num_layers": 1, "hidden_size": 16},
            "batch": {"max_seq_length": 256, "gradient_accumulation_steps": 1},
            "optimizer": {"learning_rate": 1e-3},
        },
        "evaluate": lambda: {
            "model": model,
            "base": model,
            "text_overlap": {"dataset": questions},
        },
        "speculative_decode": lambda: {
            "target": model,
            "arms": [{"method": "ngram"}],
            "prompts": questions,
            "num_prompts": 1,
        },
    }[kind]() | {"kind": kind, "device": "cuda"}
    status, error, run_dir = run(tmp_path, spec, capsys)
    assert (status, "error[spec.device_unavailable]" in error) == (2, True), error
    assert "use auto or cpu" in error
    assert terminal_code(run_dir) == "spec.device_unavailable"


def test_a_model_that_changed_since_the_spec_was_written(tmp_path, capsys, model_dir) -> None:
    spec = cpt(model_dir, corpus(tmp_path / "d.jsonl", "国有资产"))
    spec["model"]["digest"] = "0" * 64
    status, error, _ = run(tmp_path, spec, capsys)
    assert (status, "error[model.digest_mismatch]" in error) == (4, True)


def test_a_run_directory_of_another_spec_is_not_overwritten(tmp_path, capsys, model_dir) -> None:
    data = corpus(tmp_path / "d.jsonl", "国有资产监督管理" * 8)
    status, error, run_dir = run(tmp_path, cpt(model_dir, data, num_tokens=64), capsys)
    assert status == 0, error
    report = (run_dir / "report.json").read_bytes()
    status, error, _ = run(tmp_path, cpt(model_dir, data, num_tokens=65), capsys)
    assert (status, "error[spec.invalid]" in error) == (2, True)
    assert "--replace" in error
    assert (run_dir / "report.json").read_bytes() == report

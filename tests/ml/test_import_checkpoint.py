"""The import of a model: what arrives is whole, was inspected, and holds no links."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from pipeline.contracts.events import Progress
from pipeline.contracts.specs import parse_run_spec
from pipeline.errors import ModelError, StoppedAtCheckpoint
from pipeline.execution import RunContext
from pipeline.modeling.inspection import read_model
from pipeline.modeling.tiny import save_tiny_model
from pipeline.provenance import path_digest
from pipeline.recipes import import_checkpoint

ROOT = Path(__file__).parents[2]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_tiny_model(tmp_path / "tiny")


def spec_for(path: Path, **source: Any) -> Any:
    document = {"kind": "import_checkpoint", "source": {"path": str(path), **source}}
    return parse_run_spec(json.dumps(document))


def names(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*")}


def test_a_directory_arrives_whole(model: Path, context: RunContext) -> None:
    result = import_checkpoint.run(spec_for(model), context)
    copy = result.outputs["model"]
    assert copy == context.run_dir / "model"
    assert path_digest(copy) == path_digest(model) == result.inputs["source"]
    last = [p for p in context.events.payloads if isinstance(p, Progress)][-1]
    assert last.done == last.total == result.results.num_bytes


def test_links_inside_the_directory_become_files(model: Path, context: RunContext) -> None:
    (model / "blobs").mkdir()
    (model / "model.safetensors").rename(model / "blobs" / "abc")
    (model / "model.safetensors").symlink_to("blobs/abc")
    copy = import_checkpoint.run(spec_for(model), context).outputs["model"]
    assert not (copy / "model.safetensors").is_symlink()
    assert (copy / "model.safetensors").read_bytes() == (model / "blobs/abc").read_bytes()


def test_a_gguf_file_arrives_as_one(tmp_path: Path, context: RunContext) -> None:
    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(8)
    writer.add_tensor("token_embd.weight", np.zeros((16, 8), dtype=np.float32))
    writer.add_tensor("blk.0.attn_q.weight", np.zeros((8, 8), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    result = import_checkpoint.run(spec_for(path), context)
    copy = result.outputs["model"]
    assert copy == context.run_dir / "model" / "model.gguf"
    assert copy.read_bytes() == path.read_bytes()
    assert read_model(copy).is_clean
    assert not read_model(path).is_clean  # a loader is given the folder, which may hold anything


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("modeling_x.py", b"import os\n", "model.unsafe_file"),
        ("pytorch_model.bin", b"\x80\x02}q\x00.", "model.unsafe_file"),
        ("notes.txt", b"\x80\x04\x95.", "model.unsafe_file"),
        ("config.json", b"{", "model.corrupt_file"),
    ],
)
def test_a_refused_model_leaves_nothing(
    name: str, content: bytes, code: str, model: Path, context: RunContext
) -> None:
    (model / name).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        import_checkpoint.run(spec_for(model), context)
    assert caught.value.code == code
    assert name in str(caught.value)
    assert names(context.run_dir) == set()


def test_what_appears_while_copying_is_inspected(
    model: Path, context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings are written from what was read; weights swapped in between are inspected again."""
    copy_content = import_checkpoint._copy_content
    settings = (model / "config.json").read_bytes()
    other = save_tiny_model(model.parent / "other", num_layers=1) / "model.safetensors"

    def swap_then_copy(origin: Path, *arguments: Any) -> None:
        (model / "config.json").write_text('{"auto_map": {"AutoModel": "evil.Model"}}')
        copy_content(other if swaps_weights else origin, *arguments)

    monkeypatch.setattr(import_checkpoint, "_copy_content", swap_then_copy)
    swaps_weights = False
    copy = import_checkpoint.run(spec_for(model), context).outputs["model"]
    assert (copy / "config.json").read_bytes() == settings
    (model / "config.json").write_bytes(settings)
    swaps_weights = True
    with pytest.raises(ModelError) as caught:
        import_checkpoint.run(spec_for(model), context)
    assert caught.value.code == "model.corrupt_file"
    assert names(context.run_dir) == set()


def test_another_digest_than_the_named_one_is_refused(model: Path, context: RunContext) -> None:
    with pytest.raises(ModelError) as caught:
        import_checkpoint.run(spec_for(model, digest="0" * 64), context)
    assert caught.value.code == "model.digest_mismatch"
    assert names(context.run_dir) == set()


def test_a_copy_that_would_not_fit_is_not_begun(
    model: Path, context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 10

    monkeypatch.setattr(import_checkpoint.shutil, "disk_usage", lambda _path: Usage)
    with pytest.raises(ModelError) as caught:
        import_checkpoint.run(spec_for(model), context)
    assert caught.value.code == "model.no_space"


def test_a_stop_request_keeps_nothing(model: Path, context: RunContext) -> None:
    context.stop.set()
    with pytest.raises(StoppedAtCheckpoint):
        import_checkpoint.run(spec_for(model), context)
    assert names(context.run_dir) == set()


def run_program(spec: Any, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    command = [sys.executable, "-m", "pipeline", "run", "spec.json", "--run-dir", "run"]
    return subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_report_of_the_program_describes_the_model(model: Path, tmp_path: Path) -> None:
    assert run_program(spec_for(model), tmp_path).returncode == 0
    output = json.loads((tmp_path / "run/report.json").read_text())["outputs"]["model"]
    assert output["digest"] == path_digest(model)
    assert output["facts"]["model_type"] == "llama"
    assert output["facts"]["num_parameters"] > 0
    assert "path" not in output["facts"]


def test_the_program_says_why_it_refused(tmp_path: Path) -> None:
    result = run_program(spec_for(tmp_path / "nowhere"), tmp_path)
    assert result.returncode == ModelError.exit_status
    assert "error[model.not_found]" in result.stderr
    last = json.loads((tmp_path / "run/events.jsonl").read_text().splitlines()[-1])
    assert last["payload"]["code"] == "model.not_found"

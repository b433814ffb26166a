"""A checkpoint is whole or absent, loadable by the library, and the last whole one is found."""

import errno
import json
import os
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline.contracts.manifest import newest_verified_checkpoint, verify_checkpoint
from pipeline.contracts.training_specs import OptimizerSettings
from pipeline.errors import TrainingError
from pipeline.modeling.inspection import inspect_model_directory
from pipeline.modeling.tiny import tiny_llama, tiny_tokenizer
from pipeline.training.checkpoint import (
    TRAINER_STATE_NAME,
    TrainingState,
    load_training_state,
    prune_checkpoints,
    save_checkpoint,
)
from pipeline.training.optimizer import build_optimizer, optimizer_tensors, restore_optimizer

DIGEST = "a" * 64
SETTINGS = OptimizerSettings(learning_rate=1e-3)


def stepped(model):
    """An optimizer that has taken one step, so that it has state."""
    optimizer = build_optimizer(model, SETTINGS)
    ids = torch.arange(10)[None]
    model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return optimizer


def save(run_dir: Path, step: int, model=None) -> Path:
    model = model or tiny_llama()
    state = TrainingState(
        step=step,
        spec_digest=DIGEST,
        progress={"cursors": [step]},
        optimizer=optimizer_tensors(model, stepped(model)),
    )
    path, _ = save_checkpoint(run_dir, state, model=model, tokenizer=tiny_tokenizer())
    return path


def test_checkpoint_is_a_model_directory_that_verifies(tmp_path: Path) -> None:
    model = tiny_llama(seed=3)
    path = save(tmp_path, 7, model)
    manifest = verify_checkpoint(path)
    assert (manifest.step, manifest.spec_digest, manifest.resumable) == (7, DIGEST, True)
    written = {file.name for file in path.iterdir()}
    assert {entry.name for entry in manifest.files} == written - {"MANIFEST.json"}
    loaded = AutoModelForCausalLM.from_pretrained(path)
    for (name, parameter), other in zip(model.named_parameters(), loaded.parameters(), strict=True):
        assert torch.equal(parameter, other), name
    assert AutoTokenizer.from_pretrained(path).chat_template == tiny_tokenizer().chat_template
    inspect_model_directory(path)  # and our own inspection accepts it
    assert not list(path.parent.glob(".*"))


def test_state_returns_bit_equal(tmp_path: Path) -> None:
    model = tiny_llama()
    optimizer = stepped(model)
    tensors = optimizer_tensors(model, optimizer)
    state = TrainingState(step=1, spec_digest=DIGEST, progress={"x": 1}, optimizer=tensors)
    path, _ = save_checkpoint(tmp_path, state, model=model, tokenizer=tiny_tokenizer())
    loaded = load_training_state(path, spec_digest=DIGEST)
    assert (loaded.step, loaded.progress) == (1, {"x": 1})
    fresh = build_optimizer(model, SETTINGS)
    restore_optimizer(model, fresh, loaded.optimizer)
    for name, tensor in optimizer_tensors(model, fresh).items():
        assert torch.equal(tensor, tensors[name]), name


def test_state_of_another_model_is_refused() -> None:
    model = tiny_llama(num_layers=1)
    tensors = optimizer_tensors(model, stepped(model))
    other = tiny_llama(num_layers=2)
    with pytest.raises(TrainingError, match=r"differ in 9 parameters.*layers\.1") as caught:
        restore_optimizer(other, build_optimizer(other, SETTINGS), tensors)
    assert caught.value.code == "train.resume_mismatch"


def test_state_of_another_spec_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, 1)
    with pytest.raises(TrainingError, match=r"aaaaaaaaaaaa.*bbbbbbbbbbbb") as caught:
        load_training_state(path, spec_digest="b" * 64)
    assert caught.value.code == "train.resume_mismatch"


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b'{"step": 1'], ids=["empty", "no keys", "list", "torn"]
)
def test_unreadable_state_is_corrupt(tmp_path: Path, content: bytes) -> None:
    path = save(tmp_path, 1)
    (path / TRAINER_STATE_NAME).write_bytes(content)
    with pytest.raises(TrainingError) as caught:
        load_training_state(path, spec_digest=DIGEST)
    assert caught.value.code == "train.checkpoint_corrupt"


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "MANIFEST.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damaged_newest_checkpoint_is_passed_over(tmp_path: Path, name: str, damage: str) -> None:
    older, newer = save(tmp_path, 9), save(tmp_path, 10)
    assert newest_verified_checkpoint(tmp_path) == newer
    file = newer / name
    content = bytearray(file.read_bytes())
    if damage == "remove":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    with pytest.raises(TrainingError) as caught:
        verify_checkpoint(newer)
    assert caught.value.code == "train.checkpoint_corrupt"
    assert newest_verified_checkpoint(tmp_path) == older


def test_full_disk_leaves_the_older_checkpoint_and_no_part_of_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = save(tmp_path, 1)

    def no_space(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, 2)
    assert list((tmp_path / "checkpoints").iterdir()) == [older]
    verify_checkpoint(older)


def test_leftovers_of_a_kill_are_removed_by_the_next_save(tmp_path: Path) -> None:
    partial = tmp_path / "checkpoints" / ".step-3.partial"
    partial.mkdir(parents=True)
    (partial / "model.safetensors").write_bytes(b"torn")
    save(tmp_path, 4)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-4"]


def test_pruning_keeps_those_with_the_most_steps(tmp_path: Path) -> None:
    for step in (2, 10, 9):
        save(tmp_path, step)
    prune_checkpoints(tmp_path, keep=2)
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"step-9", "step-10"}


def test_saving_a_step_again_replaces_it(tmp_path: Path) -> None:
    path = save(tmp_path, 3)
    (path / "model.safetensors").write_bytes(b"bit rot")
    assert save(tmp_path, 3) == path
    assert json.loads((path / "MANIFEST.json").read_bytes())["step"] == 3
    verify_checkpoint(path)

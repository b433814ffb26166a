"""Checkpoints that are either complete or absent, and state that resumes exactly.

A checkpoint directory is an ordinary Hugging Face model directory (safetensors, config, tokenizer),
so transformers and vLLM load it as it is. Beside the model lie `optimizer.safetensors`,
`trainer_state.json` and, written last, `MANIFEST.json` with the SHA-256 of every file. Nothing is
pickled. There is no random state to save: the loop derives it from (seed, step).
"""

import json
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
import transformers
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contracts.manifest import MANIFEST_NAME, Manifest, ManifestFile, file_sha256
from pipeline.durable import new_directory
from pipeline.errors import TrainingError
from pipeline.modeling.loading import without_progress_bars

OPTIMIZER_NAME = "optimizer.safetensors"
TRAINER_STATE_NAME = "trainer_state.json"
NUM_KEPT = 2
"""Resumable checkpoints kept while a run works: the newest may be torn by a failing disk."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingState:
    """What a run needs, besides the model, to go on as if it had never stopped."""

    step: int
    spec_digest: str
    progress: dict[str, Any]
    """JSON of the loop: phase, position in it, figures so far, and the data cursor."""
    optimizer: dict[str, torch.Tensor] = field(default_factory=dict)
    """`<parameter name>/<state name>` -> tensor, a selection's kept weights among them; empty where
    no further step needs it."""
    versions: dict[str, str] = field(default_factory=dict)
    """What the bits of the weights depend on besides the spec; filled when it is saved."""


def numeric_versions() -> dict[str, str]:
    """Versions and thread count that can change the last bits of a result."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "num_threads": str(torch.get_num_threads()),
    }


def checkpoint_path(run_dir: Path, step: int) -> Path:
    """Where the checkpoint after `step` optimizer steps lies."""
    return run_dir / "checkpoints" / f"step-{step}"


def save_checkpoint(
    run_dir: Path,
    state: TrainingState,
    *,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    documents: Mapping[str, bytes] | None = None,
) -> tuple[Path, str]:
    """A durable, complete checkpoint exists; returns its directory and its manifest's SHA-256.

    `documents` are further small files of the model, by name.

    A kill at any moment leaves either the whole checkpoint or none: everything is written and
    flushed under a temporary name on the same file system, the manifest last, then renamed. What
    an earlier kill left under a temporary name is removed.

    Raises:
        OSError: the disk is full or not writable; nothing of the new checkpoint is left.
    """
    target = checkpoint_path(run_dir, state.step)
    parent = target.parent
    parent.mkdir(parents=True, exist_ok=True)
    for leftover in parent.glob(".*partial*"):
        shutil.rmtree(leftover)
    # A directory of the same step is corrupt, or left by a save of the same state: replaced.
    with new_directory(target) as partial:
        _write_files(partial, state, model, tokenizer, documents or {})
        _write_manifest(partial, state)
    return target, file_sha256(target / MANIFEST_NAME)


def _write_files(
    directory: Path,
    state: TrainingState,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    documents: Mapping[str, bytes],
) -> None:
    with without_progress_bars():
        model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    for name, content in documents.items():
        (directory / name).write_bytes(content)
    if state.optimizer:
        safetensors.torch.save_file(state.optimizer, directory / OPTIMIZER_NAME)
    document = {
        "step": state.step,
        "spec_digest": state.spec_digest,
        "progress": state.progress,
        "versions": numeric_versions(),
    }
    (directory / TRAINER_STATE_NAME).write_text(
        json.dumps(document, indent=2, allow_nan=False), encoding="utf-8"
    )


def _write_manifest(directory: Path, state: TrainingState) -> None:
    files = tuple(
        ManifestFile(name=path.name, num_bytes=path.stat().st_size, sha256=file_sha256(path))
        for path in sorted(directory.iterdir())
    )
    manifest = Manifest(step=state.step, spec_digest=state.spec_digest, resumable=True, files=files)
    document = manifest.model_dump_json(indent=2) + "\n"
    (directory / MANIFEST_NAME).write_text(document, encoding="utf-8")


def prune_checkpoints(run_dir: Path, *, keep: int) -> None:
    """Only the `keep` checkpoints with the most steps are left."""
    directories = sorted(
        (run_dir / "checkpoints").glob("step-*"),
        key=lambda path: int(path.name.removeprefix("step-")),
        reverse=True,
    )
    for directory in directories[keep:]:
        # Without its manifest a directory is no checkpoint, so a kill half-way confuses nobody.
        (directory / MANIFEST_NAME).unlink(missing_ok=True)
        shutil.rmtree(directory)


def load_training_state(directory: Path, *, spec_digest: str) -> TrainingState:
    """The state saved in a verified checkpoint (`verify_checkpoint` comes first).

    Raises:
        TrainingError: `train.resume_mismatch` when another spec wrote it,
            `train.checkpoint_corrupt` when its state cannot be read.
    """
    try:
        document = json.loads((directory / TRAINER_STATE_NAME).read_bytes())
        optimizer_path = directory / OPTIMIZER_NAME
        optimizer = safetensors.torch.load_file(optimizer_path) if optimizer_path.exists() else {}
        state = TrainingState(**document, optimizer=optimizer)
    except (OSError, ValueError, TypeError, safetensors.SafetensorError) as exc:
        raise TrainingError(
            "train.checkpoint_corrupt",
            f"the training state in {directory} cannot be read ({exc}); use an older checkpoint",
        ) from exc
    if state.spec_digest != spec_digest:
        raise TrainingError(
            "train.resume_mismatch",
            f"{directory} was written by the spec {state.spec_digest[:12]}, this run has "
            f"{spec_digest[:12]}; resume with the same spec or start a new run",
        )
    return state

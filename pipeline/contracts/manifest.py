"""The list of a checkpoint's files that makes it whole: written last, verified before use.

Standard library and pydantic only, so that a supervisor can choose what to resume from without
importing torch.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from pydantic import Field, ValidationError

from pipeline.contracts.base import Contract
from pipeline.contracts.references import Sha256
from pipeline.errors import TrainingError

MANIFEST_NAME = "MANIFEST.json"
CHUNK_BYTES = 1 << 20


class ManifestFile(Contract):
    """One file of a checkpoint."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    num_bytes: int = Field(ge=0)
    sha256: Sha256


class Manifest(Contract):
    """What a complete checkpoint holds."""

    v: int = Field(default=1, ge=1, le=1)
    step: int = Field(ge=0)
    spec_digest: Sha256
    resumable: bool
    """Whether optimizer and data state are part of it; False once a finished run dropped them."""
    files: tuple[ManifestFile, ...]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, lower-case hexadecimal."""
    content = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            content.update(chunk)
    return content.hexdigest()


def verify_checkpoint(directory: Path) -> Manifest:
    """The manifest, after every file it lists was found whole.

    Raises:
        TrainingError: `train.checkpoint_corrupt`, naming the file that is missing or differs.
    """
    path = directory / MANIFEST_NAME
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as exc:
        raise TrainingError(
            "train.checkpoint_corrupt", f"{path} is missing or unreadable; use an older checkpoint"
        ) from exc
    for entry in manifest.files:
        file = directory / entry.name
        try:
            if not file.is_file() or file.stat().st_size != entry.num_bytes:
                problem = "is missing or has another size"
            elif file_sha256(file) != entry.sha256:
                problem = "has another SHA-256"
            else:
                continue
        except OSError as exc:  # a disk that reads no more, for one
            raise TrainingError(
                "train.checkpoint_corrupt",
                f"{file} cannot be read ({exc.strerror}); use an older checkpoint",
            ) from exc
        raise TrainingError(
            "train.checkpoint_corrupt",
            f"{file} {problem} than its manifest says; use an older checkpoint",
        )
    return manifest


def newest_verified_checkpoint(
    run_dir: Path, on_damaged: Callable[[TrainingError], None] | None = None
) -> Path | None:
    """The resumable checkpoint with the most steps that is whole, or None.

    Args:
        run_dir: its folder `checkpoints` is looked through.
        on_damaged: told of each newer one that is not whole.
    """
    candidates = sorted(
        run_dir.glob("checkpoints/step-*"), key=lambda path: _step(path), reverse=True
    )
    for candidate in candidates:
        try:
            if verify_checkpoint(candidate).resumable:
                return candidate
        except TrainingError as exc:
            if on_damaged is not None:
                on_damaged(exc)
    return None


def _step(path: Path) -> int:
    number = path.name.removeprefix("step-")
    return int(number) if number.isdecimal() else -1

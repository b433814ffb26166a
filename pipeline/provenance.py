"""Where a figure came from: code version, packages, machine, digests."""

import hashlib
import os
import platform
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from pipeline.contracts.manifest import file_sha256
from pipeline.contracts.references import Reference
from pipeline.contracts.reports import Environment
from pipeline.contracts.specs import AnySpec
from pipeline.errors import ModelError
from pipeline.modeling.clean_directory import model_digest

PACKAGES = ("torch", "transformers", "safetensors", "numpy", "lm-eval", "sacrebleu", "rouge-score")


def describe_environment(spec: AnySpec) -> Environment:
    """The machine and packages of this process."""
    return Environment(
        python=sys.version.split()[0],
        packages=package_versions(PACKAGES),
        platform=platform.platform(),
        processor=processor(),
        num_threads=len(os.sched_getaffinity(0)),
        device=getattr(spec, "device", "cpu"),
        dtype=getattr(spec, "dtype", "float32"),
    )


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of those packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def path_digest(path: Path) -> str:
    """SHA-256 that identifies a file, a model directory or another directory.

    A model directory's digest covers what is loaded of it and decides its output: weights,
    configuration, tokenizer and chat template, so that it survives the loss of optimizer state. A
    directory's digest is that of the lines `name NUL sha256 LF` in order of names, and can be
    checked with standard tools.

    Raises:
        ModelError: as `read_model`, for a model directory.
    """
    if path.is_file():
        return file_sha256(path)
    if (path / "config.json").is_file():
        return model_digest(path)
    files = sorted(file for file in path.glob("**/*") if file.is_file())
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.relative_to(path).as_posix()}\0{file_sha256(file)}\n".encode())
    return total.hexdigest()


def checked_model(reference: Reference) -> tuple[Path, str]:
    """(path, digest) of the model a spec names.

    Raises:
        SpecError: `spec.unresolved_reference` for a step's output outside its plan.
        ModelError: `model.not_found`; `model.digest_mismatch` when the model has changed since the
            spec was written; as `read_model`.
    """
    path = Path(reference.resolved_path)
    if not path.exists():
        raise ModelError(
            "model.not_found",
            f"{path} does not exist; check the path, or run the step that makes it",
        )
    found = path_digest(path)
    if reference.digest not in (None, found):
        raise ModelError(
            "model.digest_mismatch",
            f"{path} has the digest {found}, the spec expects {reference.digest}: the model has "
            "changed since the run was described; restore it, or describe the run again",
        )
    return path, found


def processor() -> str:
    """The processor's name as its maker gives it, or its architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()

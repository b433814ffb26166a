"""Inspect a model and copy it into the run's directory; starts without torch.

The copy is what is inspected in the end: a directory that changes while it is copied cannot bring
in anything that was not looked at. A `.gguf` stays one; it is dequantised when it is loaded.

Results: `contracts.import_results.ImportCheckpointResults`. Output: `model` (a directory, or the
`.gguf` file inside one), whose facts the report holds as for every model.
"""

import shutil
from pathlib import Path

from pipeline.contracts.import_results import ImportCheckpointResults
from pipeline.contracts.import_specs import ImportCheckpointSpec
from pipeline.durable import new_directory
from pipeline.errors import ModelError, StoppedAtCheckpoint
from pipeline.execution import RecipeResult, RunContext, StageProgress
from pipeline.modeling.inspection import ModelFacts, inspect_model_directory
from pipeline.provenance import path_digest

_CHUNK_BYTES = 8 << 20


def run(spec: ImportCheckpointSpec, context: RunContext) -> RecipeResult:
    """The model is in the run directory and was found safe to load.

    Raises:
        ModelError: as `inspect_model_directory`; `model.digest_mismatch` when the spec names
            another digest; `model.no_space` when the copy would not fit.
        StoppedAtCheckpoint: on request; nothing is kept.
    """
    source = Path(spec.source.resolved_path)
    facts = inspect_model_directory(source)
    _require_space(context.run_dir, facts)
    directory = context.run_dir / "model"
    shutil.rmtree(directory, ignore_errors=True)  # an earlier attempt's; two may not fit
    progress = context.progress("copy", total=facts.size_bytes, unit="bytes")
    with new_directory(directory) as partial:
        for file in facts.files:
            origin = source / file.name if source.is_dir() else source
            target = partial / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy_content(origin, target, context, progress)
        copied = partial if source.is_dir() else partial / source.name
        facts = inspect_model_directory(copied)
        digest = path_digest(copied)
        if spec.source.digest not in (None, digest):
            raise ModelError(
                "model.digest_mismatch",
                f"{source} has the SHA-256 {digest}, expected {spec.source.digest}. Copy the model "
                "again, or leave the digest out to accept what is there.",
            )
    return RecipeResult(
        results=ImportCheckpointResults(num_files=len(facts.files), num_bytes=facts.size_bytes),
        outputs={"model": directory if source.is_dir() else directory / source.name},
        inputs={"source": digest},
    )


def _require_space(directory: Path, facts: ModelFacts) -> None:
    free = shutil.disk_usage(directory).free
    if facts.size_bytes > free:
        raise ModelError(
            "model.no_space",
            f"{facts.path} takes {facts.size_bytes:,} bytes and the data directory has {free:,} "
            "left. Free some space and import again.",
        )


def _copy_content(origin: Path, target: Path, context: RunContext, progress: StageProgress) -> None:
    # Content, not links: links inside a model point into caches that are emptied.
    with origin.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(_CHUNK_BYTES):
            if context.stop:
                raise StoppedAtCheckpoint("stopped on request while the model was copied")
            writer.write(chunk)
            progress.advance(len(chunk))

"""Inspect a model and build its clean directory in the run's directory; starts without torch.

What was read and judged is what is written: settings and tokenizer from memory, the weights as
copies that are inspected again. Files that do not belong to the model stay behind, and the run says
which. A `.gguf` stays one; it is dequantised when it is loaded.

Results: `contracts.import_results.ImportCheckpointResults`. Output: `model` (a directory, or the
`model.gguf` inside one), whose facts the report holds as for every model.
"""

import shutil
from pathlib import Path

from pipeline.contracts.import_results import ImportCheckpointResults
from pipeline.contracts.import_specs import ImportCheckpointSpec
from pipeline.durable import new_directory
from pipeline.errors import ModelError, StoppedAtCheckpoint
from pipeline.execution import RecipeResult, RunContext, StageProgress
from pipeline.modeling.clean_directory import write_documents
from pipeline.modeling.gguf_model import GGUF_NAME
from pipeline.modeling.inspection import read_model
from pipeline.modeling.model_facts import ModelFacts
from pipeline.modeling.trial import try_out
from pipeline.provenance import path_digest

_CHUNK_BYTES = 8 << 20
_MAX_NAMED = 20
"""Files left behind that the warning names."""


def run(spec: ImportCheckpointSpec, context: RunContext) -> RecipeResult:
    """The clean directory of the model is in the run directory and was found safe to load.

    Raises:
        ModelError: as `read_model` and `try_out`; `model.digest_mismatch` when the spec names
            another digest; `model.no_space` when the copy would not fit.
        StoppedAtCheckpoint: on request; nothing is kept.
    """
    source = Path(spec.source.resolved_path)
    model = read_model(source)
    try_out(model)
    _require_space(context.run_dir, model.facts)
    directory = context.run_dir / "model"
    shutil.rmtree(directory, ignore_errors=True)  # an earlier attempt's; two may not fit
    progress = context.progress("copy", total=model.facts.size_bytes, unit="bytes")
    with new_directory(directory) as partial:
        write_documents(model, partial)
        progress.advance(sum(map(len, model.documents.values())))
        for name, origin in model.weights.items():
            _copy_content(origin, partial / name, context, progress)
        is_gguf = model.facts.format == "gguf"
        copied = partial / GGUF_NAME if is_gguf else partial
        copy = read_model(copied)
        digest = path_digest(copied)
        if spec.source.digest not in (None, digest):
            raise ModelError(
                "model.digest_mismatch",
                f"{source} has the SHA-256 {digest}, expected {spec.source.digest}. Copy the model "
                "again, or leave the digest out to accept what is there.",
            )
    _tell_what_stayed(model.left_behind, context)
    return RecipeResult(
        results=ImportCheckpointResults(
            num_files=len(copy.facts.files), num_bytes=copy.facts.size_bytes
        ),
        outputs={"model": directory / GGUF_NAME if is_gguf else directory},
        inputs={"source": digest},
    )


def _tell_what_stayed(left_behind: tuple[str, ...], context: RunContext) -> None:
    if left_behind:
        named = ", ".join(left_behind[:_MAX_NAMED])
        more = f" and {len(left_behind) - _MAX_NAMED} more" if left_behind[_MAX_NAMED:] else ""
        context.warn(
            "model.files_left_behind",
            f"not imported, because a model is loaded without them: {named}{more}",
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

"""How many bytes a run writes at most, from its spec: simple, and on the safe side.

| kind | stays | while it works |
|---|---|---|
| training | the weights in float32 | three checkpoints of weights and two AdamW states |
| distillation | the draft, the cache of answers | the same, for the draft, and its best so far |
| look at a data file | records | a member of an archive |
| import of a data set | four times the file | the same, and a member of an archive |
| check or cleaning of a version | four times its rows | the same |
| new version of a data set | four times the versions it is made of | the same |
| import of a checkpoint | the model | the same |
| evaluation, benchmark, preview | records | records |

Records are events, log, report and per-sample results. docs/operations.md, "Disk", has the reasons.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.contracts.base import SpecBase
from pipeline.contracts.dataset_revisions import ReviseDatasetSpec
from pipeline.contracts.distillation_spec import LogitDistillSpec
from pipeline.contracts.import_specs import ImportCheckpointSpec, ImportDatasetSpec
from pipeline.contracts.preview_dataset import PreviewDatasetSpec
from pipeline.contracts.quality_checks import CheckDatasetSpec, MaskDatasetSpec
from pipeline.contracts.references import Reference
from pipeline.contracts.training_specs import ContinualPretrainSpec, CurriculumSftSpec

FLOAT32_BYTES = 4
RECORDS_BYTES = 64 << 20
TOKENIZER_BYTES = 32 << 20
NUM_CHECKPOINTS = 3
"""Two are kept while a run works, and a third is written before the oldest goes."""
STATES_PER_WEIGHT = 3
"""The weight and the two moments of AdamW."""
BYTES_PER_PARAMETER = {".safetensors": 2.0, ".gguf": 0.5}
"""The fewest a stored model takes; the larger the file, the more parameters it may have."""
MAX_VOCABULARY = 300_000
DATA_SET_FACTOR = 4
"""Rows as Parquet with their meta, rejected rows with their originals, and the partial copy."""
MAX_MEMBER_BYTES = 256 << 20
MAX_MEMBER_RATIO = 100
"""One member of an archive at a time is unpacked: what `pipeline.data.archives` allows."""

ModelBytes = Callable[[Reference], int]
"""Bytes of a model's weights in float32."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Writes:
    """Bytes that a run puts on the disk, at most."""

    kept: int
    """Once it has succeeded."""
    peak: int
    """While it works, `kept` included."""


def run_writes(spec: SpecBase, model_bytes: ModelBytes) -> Writes:
    """What a run of `spec` writes at most."""
    match spec:
        case ContinualPretrainSpec() | CurriculumSftSpec():
            return _training(model_bytes(spec.model))
        case LogitDistillSpec():
            states = STATES_PER_WEIGHT + (spec.early_stop is not None)
            draft = _training(min(model_bytes(spec.target), _draft_bytes(spec)), states)
            cache = _cache_bytes(spec)
            return Writes(kept=draft.kept + cache, peak=draft.peak + cache)
        case PreviewDatasetSpec():
            member = _member_bytes(Path(spec.source.resolved_path))
            return Writes(kept=RECORDS_BYTES, peak=RECORDS_BYTES + member)
        case ImportDatasetSpec():
            return _data_set(Path(spec.source.resolved_path))
        case CheckDatasetSpec() | MaskDatasetSpec():
            return _data_set(Path(spec.dataset.resolved_path))
        case ReviseDatasetSpec():
            parts = (spec.base, spec.append)
            num_bytes = sum(tree_bytes(Path(part.resolved_path)) for part in parts if part)
            return _constant(DATA_SET_FACTOR * num_bytes)
        case ImportCheckpointSpec():
            return _constant(tree_bytes(Path(spec.source.resolved_path)))
    return _constant(0)


def _data_set(path: Path) -> Writes:
    kept = DATA_SET_FACTOR * tree_bytes(path) + RECORDS_BYTES
    return Writes(kept=kept, peak=kept + _member_bytes(path))


def _member_bytes(path: Path) -> int:
    """Of the largest member of an archive, unpacked; 0 for other files."""
    is_archive = path.suffix == ".zip"
    return min(MAX_MEMBER_BYTES, MAX_MEMBER_RATIO * tree_bytes(path)) if is_archive else 0


def plan_writes(steps: Iterable[Writes]) -> Writes:
    """What runs that follow each other write at most: all that stays, and the worst of the rest."""
    found = list(steps)
    kept = sum(step.kept for step in found)
    return Writes(kept=kept, peak=kept + max((s.peak - s.kept for s in found), default=0))


def stored_model_bytes(path: Path) -> int:
    """Bytes in float32 of a model of which only the files are known; 0 where there are none."""
    files = [path] if path.is_file() else list(path.glob("*")) if path.is_dir() else []
    return round(
        sum(
            file.stat().st_size / BYTES_PER_PARAMETER[file.suffix] * FLOAT32_BYTES
            for file in files
            if file.suffix in BYTES_PER_PARAMETER and file.is_file()
        )
    )


def tree_bytes(path: Path) -> int:
    """Bytes on disk of a file or of all below a directory; links are not followed."""
    try:
        if not path.is_dir() or path.is_symlink():
            return path.lstat().st_blocks * 512
        return sum(tree_bytes(child) for child in path.iterdir())
    except OSError:  # it went away, or is not for us
        return 0


def _training(weights: int, states: int = STATES_PER_WEIGHT) -> Writes:
    checkpoint = states * weights + TOKENIZER_BYTES
    kept = weights + TOKENIZER_BYTES + RECORDS_BYTES
    return Writes(kept=kept, peak=max(kept, NUM_CHECKPOINTS * checkpoint + RECORDS_BYTES))


def _draft_bytes(spec: LogitDistillSpec) -> int:
    width = spec.draft.hidden_size
    embeddings = 2 * MAX_VOCABULARY * width
    layers = spec.draft.num_layers * 16 * width * width
    return (embeddings + layers) * FLOAT32_BYTES


def _cache_bytes(spec: LogitDistillSpec) -> int:
    """A token's candidates with their probabilities, and the prompts."""
    token = spec.answers.top_k_logprobs * 6 + 20
    longest = spec.answers.num_tokens + spec.answers.batch_size * spec.answers.max_new_tokens
    return longest * token + tree_bytes(Path(spec.answers.prompts.path or ""))


def _constant(num_bytes: int) -> Writes:
    return Writes(kept=num_bytes + RECORDS_BYTES, peak=num_bytes + RECORDS_BYTES)

"""The weights of a model directory: which files they are, and that they fit together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ModelError
from pipeline.modeling.safetensors_header import TensorFacts, read_safetensors_header
from pipeline.modeling.unsafe_files import SAFE_REMEDY

WHOLE_NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"
MAX_SHARDS = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """The inspected files, and the names they travel under."""

    tensors: dict[str, TensorFacts]
    files: dict[str, str]
    """Name in the directory, by name in the clean directory."""
    read_index: Mapping[str, object] | None = None
    index: dict[str, object] | None = None
    """What our index says; None where one file holds all."""


def read_weights(root: Path, names: set[str], index: Mapping[str, object] | None) -> Weights:
    """The tensors of the model, each in exactly one inspected file inside `root`.

    Args:
        root: The directory.
        names: Its files, as they were walked.
        index: Content of its index, or None without one.

    Raises:
        ModelError: `model.not_found` without weights; `model.corrupt_file` for an index that does
            not describe what is there, and as `read_safetensors_header`.
    """
    if WHOLE_NAME in names:
        header = read_safetensors_header(root / WHOLE_NAME)
        return _checked(root / WHOLE_NAME, Weights(tensors=header, files={WHOLE_NAME: WHOLE_NAME}))
    if index is None:
        raise ModelError(
            "model.not_found",
            f"{root} has neither {WHOLE_NAME} nor {INDEX_NAME}. {SAFE_REMEDY}.",
        )
    index_path = root / INDEX_NAME
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(
            "model.corrupt_file",
            f"{index_path} has no weight_map from tensors to files. {SAFE_REMEDY}.",
        )
    for tensor, shard in weight_map.items():
        # Membership in the walked names also refuses "../other.safetensors" and absolute paths.
        if not isinstance(shard, str) or shard not in names or not shard.endswith(".safetensors"):
            raise _misplaced(index_path, tensor, shard)
    shards = sorted(set(weight_map.values()))
    if len(shards) > MAX_SHARDS:
        raise ModelError(
            "model.unsupported",
            f"{index_path} names {len(shards)} files; at most {MAX_SHARDS} are read.",
        )
    headers = {shard: read_safetensors_header(root / shard) for shard in shards}
    for tensor, shard in weight_map.items():
        if tensor not in headers[shard]:
            raise _misplaced(index_path, tensor, shard)
    tensors: dict[str, TensorFacts] = {}
    for shard in shards:
        repeated = sorted(tensors.keys() & headers[shard].keys())
        unlisted = sorted(headers[shard].keys() - weight_map.keys())
        if repeated or unlisted:
            raise ModelError(
                "model.corrupt_file",
                f"{root / shard} holds {(repeated or unlisted)[0]!r:.200}, which another shard "
                "holds or the index does not list. Copy the shards of one model only.",
            )
        tensors.update(headers[shard])
    return _checked(index_path, _renamed(tensors, shards, index, weight_map))


def _renamed(
    tensors: dict[str, TensorFacts],
    shards: list[str],
    index: Mapping[str, object],
    weight_map: Mapping[str, str],
) -> Weights:
    if len(shards) == 1:
        return Weights(tensors=tensors, files={WHOLE_NAME: shards[0]})
    clean_names = {
        shard: f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        for number, shard in enumerate(shards, 1)
    }
    metadata = index.get("metadata")
    if isinstance(metadata, dict):
        metadata = {key: value for key, value in metadata.items() if type(value) in (int, float)}
    ours: dict[str, object] = {}
    for key in index:  # in the order it was read in, so that an index of ours stays as it is
        if key == "metadata" and isinstance(metadata, dict):
            ours[key] = metadata
        elif key == "weight_map":
            ours[key] = {tensor: clean_names[shard] for tensor, shard in weight_map.items()}
    return Weights(
        tensors=tensors,
        files={clean: shard for shard, clean in clean_names.items()},
        read_index=index,
        index=ours,
    )


def _checked(path: Path, weights: Weights) -> Weights:
    if not weights.tensors:
        raise ModelError(
            "model.corrupt_file", f"{path} holds no tensors. Copy it again from its source."
        )
    return weights


def _misplaced(index_path: Path, tensor: str, shard: object) -> ModelError:
    return ModelError(
        "model.corrupt_file",
        f"{index_path} places {tensor!r:.200} in {shard!r:.200}, where it is not. Copy all "
        "shards of the model, and its index, into one directory.",
    )

"""A model directory is judged here before any loader touches it (no torch, no transformers).

Uploaded checkpoints are hostile until shown otherwise: a directory may hold only weights in
safetensors, JSON, tokenizer and text files, inside itself, that agree with each other. A `.gguf`
file is judged by its header.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from pipeline.errors import ModelError
from pipeline.modeling.gguf_header import read_gguf_header
from pipeline.modeling.safetensors_header import TensorFacts, read_safetensors_header
from pipeline.modeling.unsafe_files import (
    SAFE_REMEDY,
    FileFacts,
    read_json,
    refuse_code_settings,
    refuse_unsafe_content,
    walk_files,
)

# model_type -> the only class that is loaded for it. All are decoder-only and live in transformers.
ARCHITECTURES = {
    "gemma2": "Gemma2ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
    "granite": "GraniteForCausalLM",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "olmo2": "Olmo2ForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "smollm3": "SmolLM3ForCausalLM",
}
GGUF_MODEL_TYPES = {
    "llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma2": "gemma2",
    "gemma3": "gemma3_text", "phi3": "phi3",
}  # fmt: skip

MAX_LAYERS = 1_000
INDEX_NAME = "model.safetensors.index.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFacts:
    """What a checkpoint is, read without loading it."""

    path: Path
    format: Literal["safetensors", "gguf"]
    model_type: str
    architecture: str
    vocab_size: int
    num_parameters: int
    """Stored parameters; tied embeddings are stored, and counted, once."""
    num_layers: int
    hidden_size: int
    max_position_embeddings: int
    dtype: str
    """The storage type that holds most parameters, e.g. F32, BF16, Q4_1."""
    has_tied_embeddings: bool
    has_tokenizer: bool
    has_chat_template: bool
    files: tuple[FileFacts, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    def describe(self) -> dict[str, JsonValue]:
        """The facts as JSON values, without the path, which is nobody's but this machine's."""
        facts = asdict(self)
        del facts["path"]
        return {**facts, "files": list(facts["files"])}


def inspect_model_directory(path: Path) -> ModelFacts:
    """The facts of a model that is safe to hand to a loader.

    Args:
        path: A directory in Hugging Face layout, or a `.gguf` file.

    Raises:
        ModelError: `model.not_found` when there is no model; `model.unsafe_file` for code, pickles,
            links out of the directory and settings that import code; `model.corrupt_file` for
            damaged or inconsistent files; `model.unsupported` for architectures and storage we do
            not load. The message names the file and the remedy.
    """
    path = Path(path)
    if not path.exists():
        raise ModelError(
            "model.not_found",
            f"{path} does not exist. Give a local model directory or a .gguf file; nothing is "
            "downloaded.",
        )
    if path.is_file():
        return _inspect_gguf(path)
    files = tuple(sorted(walk_files(path), key=lambda file: file.name))
    for file in files:
        refuse_unsafe_content(path / file.name)
    documents = {
        file.name: read_json(path / file.name) for file in files if file.name.endswith(".json")
    }
    for name, document in documents.items():
        refuse_code_settings(path / name, document)
    return _inspect_checkpoint(path, files, documents)


def _inspect_checkpoint(
    root: Path, files: tuple[FileFacts, ...], documents: dict[str, object]
) -> ModelFacts:
    names = {file.name for file in files}
    config = documents.get("config.json")
    if not isinstance(config, dict):
        remedy = (
            "This is an adapter: merge it into its base model first"
            if "adapter_config.json" in names
            else "Give the directory that holds config.json beside the weights"
        )
        raise ModelError("model.not_found", f"{root} has no config.json. {remedy}.")
    config_path = root / "config.json"
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in ARCHITECTURES:
        raise ModelError(
            "model.unsupported",
            f"{config_path}: model_type {model_type!r} is not supported; supported are "
            f"{', '.join(sorted(ARCHITECTURES))}.",
        )
    architecture = ARCHITECTURES[model_type]
    if config.get("architectures") not in (None, [architecture]):
        raise ModelError(
            "model.unsupported",
            f"{config_path}: architectures {config['architectures']!r}; only {architecture} is "
            f"loaded for {model_type}.",
        )
    if "quantization_config" in config:
        raise ModelError(
            "model.unsupported",
            f"{config_path} describes quantised weights. Give the unquantised checkpoint or a "
            ".gguf file.",
        )
    tensors = _read_weights(root, names, documents)
    vocab_size = _positive(config_path, config, "vocab_size")
    num_layers = _positive(config_path, config, "num_hidden_layers")
    hidden_size = _positive(config_path, config, "hidden_size")
    _check_agreement(config_path, tensors, vocab_size, num_layers, hidden_size)
    tokenizer_config = documents.get("tokenizer_config.json")
    return ModelFacts(
        path=root,
        format="safetensors",
        model_type=model_type,
        architecture=architecture,
        vocab_size=vocab_size,
        num_parameters=sum(tensor.num_elements for tensor in tensors.values()),
        num_layers=num_layers,
        hidden_size=hidden_size,
        max_position_embeddings=_positive(config_path, config, "max_position_embeddings"),
        dtype=_dominant_dtype(tensors),
        has_tied_embeddings=bool(
            config.get("tie_word_embeddings", "lm_head.weight" not in tensors)
        ),
        has_tokenizer="tokenizer.json" in names or "tokenizer.model" in names,
        has_chat_template="chat_template.jinja" in names
        or (isinstance(tokenizer_config, dict) and bool(tokenizer_config.get("chat_template"))),
        files=files,
    )


def _read_weights(
    root: Path, names: set[str], documents: dict[str, object]
) -> dict[str, TensorFacts]:
    """Headers of every safetensors file are checked; the tensors of the model are returned."""
    headers = {
        name: read_safetensors_header(root / name)
        for name in sorted(names)
        if name.endswith(".safetensors")
    }
    if "model.safetensors" in headers:
        return headers["model.safetensors"]
    if INDEX_NAME not in documents:
        raise ModelError(
            "model.not_found",
            f"{root} has neither model.safetensors nor {INDEX_NAME}. {SAFE_REMEDY}.",
        )
    index = documents[INDEX_NAME]
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError("model.corrupt_file", f"{root / INDEX_NAME} has no weight_map.")
    for tensor, shard in weight_map.items():
        # Membership in the walked names also refuses "../other.safetensors" and absolute paths.
        if shard not in headers or tensor not in headers[shard]:
            raise ModelError(
                "model.corrupt_file",
                f"{root / INDEX_NAME} places {tensor!r} in {shard!r}, where it is not. Copy all "
                "shards of the model, and its index, into one directory.",
            )
    tensors: dict[str, TensorFacts] = {}
    for shard in sorted(set(weight_map.values())):
        repeated = sorted(tensors.keys() & headers[shard].keys())
        unlisted = sorted(headers[shard].keys() - weight_map.keys())
        if repeated or unlisted:
            raise ModelError(
                "model.corrupt_file",
                f"{root / shard} holds {(repeated or unlisted)[0]!r}, which another shard holds or "
                "the index does not list. Copy the shards of one model only.",
            )
        tensors.update(headers[shard])
    return tensors


def _positive(path: Path, config: Mapping[str, object], key: str) -> int:
    value = config.get(key)
    if type(value) is not int or not 0 < value < 2**31:
        raise ModelError("model.unsupported", f"{path}: {key} is {value!r}, not a positive number.")
    return value


def _check_agreement(
    config_path: Path,
    tensors: dict[str, TensorFacts],
    vocab_size: int,
    num_layers: int,
    hidden_size: int,
) -> None:
    """Loaders only warn when weights are missing and then invent them; this is an error here."""
    embedding = tensors.get("model.embed_tokens.weight")
    shape = embedding.shape if embedding else None
    if shape != (vocab_size, hidden_size):
        raise ModelError(
            "model.corrupt_file",
            f"{config_path} says vocab_size {vocab_size} and hidden_size {hidden_size}, but the "
            f"weights hold model.embed_tokens.weight of shape {shape}. Use the config.json that "
            "was saved with these weights.",
        )
    parts = (name.split(".") for name in tensors if name.startswith("model.layers."))
    stored = {int(part[2]) for part in parts if len(part) > 2 and part[2].isdecimal()}
    if num_layers > MAX_LAYERS or stored != set(range(num_layers)):
        raise ModelError(
            "model.corrupt_file",
            f"{config_path} says num_hidden_layers {num_layers}, but the weights hold "
            f"{len(stored)} layers. Use the config.json that was saved with these weights.",
        )


def _dominant_dtype(tensors: dict[str, TensorFacts]) -> str:
    elements: Counter[str] = Counter()
    for tensor in tensors.values():
        elements[tensor.dtype] += tensor.num_elements
    return elements.most_common(1)[0][0]


def _inspect_gguf(path: Path) -> ModelFacts:
    if path.suffix.lower() != ".gguf":
        raise ModelError(
            "model.unsupported",
            f"{path} is a single file but not .gguf. Give a model directory or a .gguf file.",
        )
    header = read_gguf_header(path)
    metadata = header.metadata
    name = metadata.get("general.architecture")
    if not isinstance(name, str) or name not in GGUF_MODEL_TYPES:
        raise ModelError(
            "model.unsupported",
            f"{path}: general.architecture {name!r} is not supported; supported are "
            f"{', '.join(sorted(GGUF_MODEL_TYPES))}.",
        )
    model_type = GGUF_MODEL_TYPES[name]
    embedding = header.tensors.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise ModelError("model.corrupt_file", f"{path} holds no token_embd.weight matrix.")
    vocab_size, hidden_size = embedding.shape
    num_layers = _positive(path, metadata, f"{name}.block_count")
    stored = {key.split(".")[1] for key in header.tensors if key.startswith("blk.")}
    if len(stored) != num_layers or hidden_size != metadata.get(f"{name}.embedding_length"):
        raise ModelError(
            "model.corrupt_file",
            f"{path} declares {num_layers} layers of width "
            f"{metadata.get(f'{name}.embedding_length')!r} but holds {len(stored)} of width "
            f"{hidden_size}. Convert the model again.",
        )
    return ModelFacts(
        path=path,
        format="gguf",
        model_type=model_type,
        architecture=ARCHITECTURES[model_type],
        vocab_size=vocab_size,
        num_parameters=sum(tensor.num_elements for tensor in header.tensors.values()),
        num_layers=num_layers,
        hidden_size=hidden_size,
        max_position_embeddings=_positive(path, metadata, f"{name}.context_length"),
        dtype=_dominant_dtype(header.tensors),
        has_tied_embeddings="output.weight" not in header.tensors,
        has_tokenizer=header.array_lengths.get("tokenizer.ggml.tokens") == vocab_size,
        has_chat_template=bool(metadata.get("tokenizer.chat_template")),
        files=(FileFacts(name=path.name, size_bytes=path.stat().st_size),),
    )

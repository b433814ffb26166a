"""A `.gguf` file as a model: one file, judged by its header."""

from pathlib import Path

from pipeline.errors import ModelError
from pipeline.modeling.gguf_header import read_gguf_header
from pipeline.modeling.model_config import ARCHITECTURES
from pipeline.modeling.model_facts import CleanModel, ModelFacts, count, dominant_dtype
from pipeline.modeling.tokenizer_files import check_template
from pipeline.modeling.unsafe_files import FileFacts

GGUF_MODEL_TYPES = {
    "llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma2": "gemma2",
    "gemma3": "gemma3_text", "phi3": "phi3",
}  # fmt: skip
GGUF_NAME = "model.gguf"


def read_gguf(path: Path) -> CleanModel:
    """What a `.gguf` file is, judged by its header.

    Raises:
        ModelError: as `inspection.read_model`.
    """
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
            f"{path}: general.architecture {name!r:.200} is not supported; supported are "
            f"{', '.join(sorted(GGUF_MODEL_TYPES))}.",
        )
    model_type = GGUF_MODEL_TYPES[name]
    embedding = header.tensors.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise ModelError("model.corrupt_file", f"{path} holds no token_embd.weight matrix.")
    vocab_size, hidden_size = embedding.shape
    num_layers = count(path, metadata, f"{name}.block_count")
    stored = {key.split(".")[1] for key in header.tensors if key.startswith("blk.")}
    if len(stored) != num_layers or hidden_size != metadata.get(f"{name}.embedding_length"):
        raise ModelError(
            "model.corrupt_file",
            f"{path} declares {num_layers} layers of width "
            f"{metadata.get(f'{name}.embedding_length')!r} but holds {len(stored)} of width "
            f"{hidden_size}. Convert the model again.",
        )
    template = metadata.get("tokenizer.chat_template")
    if isinstance(template, str):
        check_template(path, template.encode())
    facts = ModelFacts(
        path=path,
        format="gguf",
        model_type=model_type,
        architecture=ARCHITECTURES[model_type],
        vocab_size=vocab_size,
        num_parameters=sum(tensor.num_elements for tensor in header.tensors.values()),
        num_layers=num_layers,
        hidden_size=hidden_size,
        max_position_embeddings=count(path, metadata, f"{name}.context_length"),
        dtype=dominant_dtype(header.tensors),
        has_tied_embeddings="output.weight" not in header.tensors,
        has_tokenizer=header.array_lengths.get("tokenizer.ggml.tokens") == vocab_size,
        has_chat_template=bool(template),
        files=(FileFacts(name=GGUF_NAME, size_bytes=path.stat().st_size),),
    )
    return CleanModel(
        facts=facts,
        documents={},
        weights={GGUF_NAME: path},
        tensors=header.tensors,
        chat_template=template if isinstance(template, str) and template else None,
        left_behind=(),
        is_clean=[entry.name for entry in path.parent.iterdir()] == [GGUF_NAME]
        and not path.is_symlink(),
    )

"""What a model is and what of it travels, as inspection finds it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from pipeline.modeling.safetensors_header import TensorFacts
from pipeline.modeling.unsafe_files import FileFacts
from pipeline.modeling.value_rules import COUNT, refusal


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
    """Of the clean directory."""

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    def describe(self) -> dict[str, JsonValue]:
        """The facts as JSON values, without the path, which is nobody's but this machine's."""
        facts = asdict(self)
        del facts["path"]
        return {**facts, "files": list(facts["files"])}


@dataclass(frozen=True, kw_only=True, slots=True)
class CleanModel:
    """What of a model travels. Two directories with the same clean model load alike."""

    facts: ModelFacts
    documents: dict[str, bytes]
    """Content by name in the clean directory, settings and tokenizer."""
    weights: dict[str, Path]
    """File that holds the content, by name in the clean directory."""
    tensors: Mapping[str, TensorFacts]
    chat_template: str | None
    left_behind: tuple[str, ...]
    """Files of the directory that do not travel."""
    draft_vocabulary: tuple[int, ...] | None = None
    """The tokens the model may say as a draft, in rising order; None for all."""
    is_clean: bool
    """The directory is its own clean directory, byte for byte."""


def count(path: Path, config: Mapping[str, object], key: str) -> int:
    """The positive whole number that a setting must hold."""
    value = config.get(key)
    if not COUNT.accepts(value) or not isinstance(value, int):
        raise refusal(path, key, value, COUNT.expected)
    return value


def dominant_dtype(tensors: Mapping[str, TensorFacts]) -> str:
    """The storage type that holds most parameters."""
    elements: Counter[str] = Counter()
    for tensor in tensors.values():
        elements[tensor.dtype] += tensor.num_elements
    return elements.most_common(1)[0][0]

"""A model directory is judged here before any loader touches it (no torch, no transformers).

Uploaded checkpoints are hostile until shown otherwise. Judging one yields the *clean directory*
that stands for it: `config.json` and the other settings rebuilt from allow-lists, the weights that
were inspected, the tokenizer and the chat template, under names we choose. `clean_directory` writes
it; nothing else of the directory is ever seen by a loader. A `.gguf` file is judged by its header.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import ModelError
from pipeline.modeling.draft_vocabulary import DRAFT_VOCABULARY_NAME, check_draft_vocabulary
from pipeline.modeling.gguf_model import read_gguf
from pipeline.modeling.model_config import (
    ARCHITECTURES,
    MAX_LAYERS,
    clean_config,
    clean_generation_config,
)
from pipeline.modeling.model_facts import CleanModel, ModelFacts, count, dominant_dtype
from pipeline.modeling.safetensors_header import TensorFacts
from pipeline.modeling.strict_json import MAX_JSON_BYTES, read_strict_json, write_json
from pipeline.modeling.tokenizer_files import (
    MAX_TEMPLATE_BYTES,
    check_template,
    clean_tokenizer,
    clean_tokenizer_config,
    template_in_config,
)
from pipeline.modeling.unsafe_files import (
    FileFacts,
    refuse_code_settings,
    refuse_unsafe_content,
    walk_files,
)
from pipeline.modeling.weight_files import INDEX_NAME, read_weights

CONFIG_NAME = "config.json"
GENERATION_NAME = "generation_config.json"
TOKENIZER_NAME = "tokenizer.json"
TOKENIZER_CONFIG_NAME = "tokenizer_config.json"
SPECIAL_TOKENS_NAME = "special_tokens_map.json"
TEMPLATE_NAME = "chat_template.jinja"
# Written beside a model by the pipeline itself; loaders do not look at them.
OWN_NAMES = {"MANIFEST.json", "optimizer.safetensors", "trainer_state.json", "source.json"}
_LIMITS = {TEMPLATE_NAME: MAX_TEMPLATE_BYTES}


def inspect_model_directory(path: Path) -> ModelFacts:
    """The facts of a model that is safe to hand to a loader; as `read_model`."""
    return read_model(path).facts


def read_model(path: Path) -> CleanModel:
    """What of a model directory or `.gguf` file travels, after all of it was judged.

    Args:
        path: A directory in Hugging Face layout, or a `.gguf` file.

    Raises:
        ModelError: `model.not_found` when there is no model; `model.unsafe_file` for code, pickles,
            archives, links out of the directory and settings that import code;
            `model.corrupt_file` for damaged or inconsistent files; `model.unsupported` for
            architectures, storage and values we do not load. The message names the file, the
            setting and the remedy.
    """
    path = Path(path)
    if not path.exists():
        raise ModelError(
            "model.not_found",
            f"{path} does not exist. Give a local model directory or a .gguf file; nothing is "
            "downloaded.",
        )
    if path.is_file():
        return read_gguf(path)
    files = tuple(sorted(walk_files(path), key=lambda file: file.name))
    for file in files:
        refuse_unsafe_content(path / file.name)
    return _read_checkpoint(path, files)


class _Documents:
    """The small files of a directory: each is read once, and what was read is what travels."""

    def __init__(self, root: Path, names: set[str]) -> None:
        self.root = root
        self._names = names
        self.clean: dict[str, bytes] = {}
        self.read: dict[str, bytes] = {}

    def content(self, name: str) -> bytes | None:
        if name not in self._names:
            return None
        limit = _LIMITS.get(name, MAX_JSON_BYTES)
        # Not blocking: what was a file when the directory was walked might be a pipe by now.
        descriptor = os.open(self.root / name, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            # One byte more than is accepted, so that the check of the length can see it.
            self.read[name] = file.read(limit + 1)
        return self.read[name]

    def json(self, name: str) -> dict[str, object] | None:
        """The object a JSON file holds, free of settings that import code."""
        content = self.content(name)
        if content is None:
            return None
        document = read_strict_json(self.root / name, content)
        if not isinstance(document, dict):
            raise ModelError(
                "model.corrupt_file",
                f"{self.root / name} is no JSON object. Copy it again from its source.",
            )
        refuse_code_settings(self.root / name, document)
        return document

    def keep(self, name: str, found: object, cleaned: object) -> None:
        """The file travels: as it was read where all of it does, else written anew."""
        self.clean[name] = self.read[name] if found == cleaned else write_json(cleaned)


def _read_checkpoint(root: Path, files: tuple[FileFacts, ...]) -> CleanModel:
    names = {file.name for file in files}
    documents = _Documents(root, names)
    config = documents.json(CONFIG_NAME)
    if config is None:
        remedy = (
            "This is an adapter: merge it into its base model first"
            if "adapter_config.json" in names
            else "Give the directory that holds config.json beside the weights"
        )
        raise ModelError("model.not_found", f"{root} has no config.json. {remedy}.")
    config_path = root / CONFIG_NAME
    cleaned = clean_config(config_path, config)
    documents.keep(CONFIG_NAME, config, cleaned)
    weights = read_weights(root, names, documents.json(INDEX_NAME))
    _check_agreement(config_path, cleaned, weights.tensors)
    if weights.index is not None:
        documents.keep(INDEX_NAME, weights.read_index, weights.index)
    generation = documents.json(GENERATION_NAME)
    if generation is not None:
        generation_path = root / GENERATION_NAME
        documents.keep(
            GENERATION_NAME, generation, clean_generation_config(generation_path, generation)
        )
    _keep_tokenizer(root, names, documents)
    vocab_size = count(config_path, cleaned, "vocab_size")
    draft_vocabulary = _keep_draft_vocabulary(root, documents, vocab_size)
    model_type = str(cleaned["model_type"])
    sizes = {name: len(content) for name, content in documents.clean.items()}
    by_name = {file.name: file.size_bytes for file in files}
    sizes |= {name: by_name[source] for name, source in weights.files.items()}
    facts = ModelFacts(
        path=root,
        format="safetensors",
        model_type=model_type,
        architecture=ARCHITECTURES[model_type],
        vocab_size=vocab_size,
        num_parameters=sum(tensor.num_elements for tensor in weights.tensors.values()),
        num_layers=count(config_path, cleaned, "num_hidden_layers"),
        hidden_size=count(config_path, cleaned, "hidden_size"),
        max_position_embeddings=count(config_path, cleaned, "max_position_embeddings"),
        dtype=dominant_dtype(weights.tensors),
        has_tied_embeddings=bool(
            cleaned.get("tie_word_embeddings", "lm_head.weight" not in weights.tensors)
        ),
        has_tokenizer=TOKENIZER_NAME in documents.clean,
        has_chat_template=TEMPLATE_NAME in documents.clean,
        files=tuple(FileFacts(name=name, size_bytes=sizes[name]) for name in sorted(sizes)),
    )
    travelling = {*weights.files.values(), *documents.clean}
    template = documents.clean.get(TEMPLATE_NAME)
    is_clean = (
        names - OWN_NAMES == sizes.keys()
        and all(name == source for name, source in weights.files.items())
        and all(documents.read.get(name) == content for name, content in documents.clean.items())
        and not any((root / name).is_symlink() for name in sizes)
    )
    return CleanModel(
        facts=facts,
        documents=documents.clean,
        weights={name: root / source for name, source in weights.files.items()},
        tensors=weights.tensors,
        chat_template=template.decode() if template is not None else None,
        draft_vocabulary=draft_vocabulary,
        left_behind=tuple(sorted(names - travelling - OWN_NAMES)),
        is_clean=is_clean,
    )


def _keep_tokenizer(root: Path, names: set[str], documents: _Documents) -> None:
    tokenizer = documents.json(TOKENIZER_NAME)
    if tokenizer is not None:
        cleaned = clean_tokenizer(root / TOKENIZER_NAME, tokenizer)
        documents.keep(TOKENIZER_NAME, tokenizer, cleaned)
    elif "tokenizer.model" in names:
        raise ModelError(
            "model.unsupported",
            f"{root} holds tokenizer.model and no tokenizer.json. Save the tokenizer with "
            "AutoTokenizer.from_pretrained(...).save_pretrained(...), which writes it.",
        )
    config = documents.json(TOKENIZER_CONFIG_NAME)
    special_tokens = documents.json(SPECIAL_TOKENS_NAME) or {}
    if config is not None or special_tokens:
        cleaned = clean_tokenizer_config(root / TOKENIZER_CONFIG_NAME, config or {}, special_tokens)
        documents.keep(TOKENIZER_CONFIG_NAME, config, cleaned)
    template = documents.content(TEMPLATE_NAME)
    if template is None and config is not None:
        text = template_in_config(root / TOKENIZER_CONFIG_NAME, config)
        template = None if text is None else text.encode()
    if template:
        documents.clean[TEMPLATE_NAME] = check_template(root / TEMPLATE_NAME, template)


def _keep_draft_vocabulary(
    root: Path, documents: _Documents, vocab_size: int
) -> tuple[int, ...] | None:
    found = documents.json(DRAFT_VOCABULARY_NAME)
    if found is None:
        return None
    token_ids = check_draft_vocabulary(root / DRAFT_VOCABULARY_NAME, found, vocab_size)
    documents.keep(DRAFT_VOCABULARY_NAME, found, found)
    return token_ids


def _check_agreement(
    config_path: Path, config: Mapping[str, object], tensors: Mapping[str, TensorFacts]
) -> None:
    """Loaders only warn when weights are missing and then invent them; this is an error here."""
    vocab_size = count(config_path, config, "vocab_size")
    num_layers = count(config_path, config, "num_hidden_layers")
    hidden_size = count(config_path, config, "hidden_size")
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
    stored = {part[2] for part in parts if len(part) > 2}
    if num_layers > MAX_LAYERS or stored != {str(layer) for layer in range(num_layers)}:
        raise ModelError(
            "model.corrupt_file",
            f"{config_path} says num_hidden_layers {num_layers}, but the weights hold "
            f"{len(stored)} layers. Use the config.json that was saved with these weights.",
        )

"""Local checkpoints become models and tokenizers; no download, no foreign code."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import transformers
from tokenizers import pre_tokenizers
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contracts.manifest import file_sha256
from pipeline.durable import publish
from pipeline.errors import ModelError
from pipeline.modeling.clean_directory import clean_directory
from pipeline.modeling.gguf_header import read_gguf_header
from pipeline.modeling.gguf_model import GGUF_NAME
from pipeline.modeling.inspection import inspect_model_directory, read_model
from pipeline.modeling.loader_errors import as_model_error
from pipeline.modeling.model_facts import CleanModel, ModelFacts
from pipeline.modeling.trial import try_out

SOURCE_FILE = "source.json"


def load_model(
    path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> PreTrainedModel:
    """The model of a local directory or `.gguf` file, in eval mode, with its weights in `dtype`.

    The path is inspected before any loader sees it. A GGUF is dequantised to dense weights.

    Raises:
        ModelError: as `inspect_model_directory`, and `model.corrupt_file` when the file lacks some
            of the model's weights (the library would fill them with random numbers), or when one
            is NaN or infinite.
    """
    clean = read_model(path)
    facts = clean.facts
    model_class = getattr(transformers, facts.architecture)
    with (
        clean_directory(clean) as directory,
        without_progress_bars(),
        as_model_error(path, facts.architecture),
    ):
        if facts.format == "safetensors":
            _check_shapes(model_class, directory, clean)
        model, info = model_class.from_pretrained(
            **_location(facts, directory),
            dtype=dtype,
            attn_implementation="sdpa",
            local_files_only=True,
            output_loading_info=True,
        )
    # A clean copy is gone by now: whoever needs the tokenizer finds it where the model lies.
    model.name_or_path = str(path)
    if info["missing_keys"] or info["mismatched_keys"]:
        absent = sorted(str(key) for key in (*info["missing_keys"], *info["mismatched_keys"]))
        raise ModelError(
            "model.corrupt_file",
            f"{path} lacks {len(absent)} weights of {facts.architecture}, the first being "
            f"{absent[0]}. Use the config.json that was saved with these weights.",
        )
    model = _as_dense(model)
    _require_finite(model, path)
    return model.to(device).eval()


def _require_finite(model: PreTrainedModel, path: Path) -> None:
    # A draft of NaN drafts nonsense and a target of NaN writes it: neither is an answer.
    for name, weight in model.named_parameters():
        if not bool(weight.isfinite().all()):
            raise ModelError(
                "model.corrupt_file",
                f"{path}: the weight {name} holds NaN or infinity. Its training diverged or the "
                "file is damaged; use an earlier checkpoint, or copy it again.",
            )


def load_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a local directory or `.gguf` file.

    Raises:
        ModelError: as `inspect_model_directory`, and `model.not_found` when there is none.
    """
    clean = read_model(path)
    if not clean.is_clean:
        try_out(clean)
    facts = clean.facts
    if not facts.has_tokenizer:
        raise ModelError(
            "model.not_found",
            f"{path} has no tokenizer. Copy tokenizer.json and tokenizer_config.json of the model "
            "it was trained from into the directory.",
        )
    with (
        clean_directory(clean) as directory,
        without_progress_bars(),
        as_model_error(path, "tokenizer"),
    ):
        tokenizer = AutoTokenizer.from_pretrained(
            **_location(facts, directory), local_files_only=True
        )
    # The tokenizer writes its loading arguments into the next tokenizer_config.json; they would
    # differ between a model and its copy and change the digest.
    for argument in ("local_files_only", "is_local", "gguf_file"):
        tokenizer.init_kwargs.pop(argument, None)
    if facts.format == "gguf":
        _restore_pre_tokenizer(tokenizer, Path(path))
    return tokenizer


def require_same_vocabulary(target: Path, draft: Path) -> None:
    """Both models use the same token ids for the same tokens.

    Raises:
        ModelError: `model.vocabulary_mismatch` when the vocabularies' sizes differ, or when the
            draft brings a tokenizer of its own that numbers tokens differently.
    """
    target_facts, draft_facts = inspect_model_directory(target), inspect_model_directory(draft)
    if target_facts.vocab_size != draft_facts.vocab_size:
        raise ModelError(
            "model.vocabulary_mismatch",
            f"The target {target} has {target_facts.vocab_size} tokens and the draft {draft} has "
            f"{draft_facts.vocab_size}. Build the draft from this target, or pad its embeddings.",
        )
    if not (target_facts.has_tokenizer and draft_facts.has_tokenizer):
        return
    target_vocabulary = load_tokenizer(target).get_vocab()
    draft_vocabulary = load_tokenizer(draft).get_vocab()
    if target_vocabulary != draft_vocabulary:
        token, number = min(target_vocabulary.items() ^ draft_vocabulary.items())
        raise ModelError(
            "model.vocabulary_mismatch",
            f"The tokenizers of the target {target} and of the draft {draft} differ, for example "
            f"in {token!r} ({number}). Use a draft of the same model family.",
        )


def dequantize_gguf(gguf_path: Path, out_dir: Path, *, expected_sha256: str | None = None) -> Path:
    """`out_dir` holds the GGUF's model in safetensors fp32 with tokenizer; returns `out_dir`.

    It appears complete or not at all. A directory made from the same file is left as it is.

    Raises:
        ModelError: as `inspect_model_directory`; `model.digest_mismatch` when the file is not the
            expected one or `out_dir` was made from another file.
    """
    gguf_path, out_dir = Path(gguf_path), Path(out_dir)
    facts = inspect_model_directory(gguf_path)
    digest = file_sha256(gguf_path)
    if expected_sha256 not in (None, digest):
        raise ModelError(
            "model.digest_mismatch",
            f"{gguf_path} has the SHA-256 {digest}, expected {expected_sha256}. Delete it and "
            "fetch it again.",
        )
    if out_dir.exists():
        source = out_dir / SOURCE_FILE
        if source.is_file() and json.loads(source.read_bytes()).get("gguf_sha256") == digest:
            return out_dir
        raise ModelError(
            "model.digest_mismatch",
            f"{out_dir} exists and was not made from {gguf_path} ({digest}). Delete it or give "
            "another directory.",
        )
    model = load_model(gguf_path)
    tokenizer = load_tokenizer(gguf_path) if facts.has_tokenizer else None
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.", dir=out_dir.parent))
    try:
        with without_progress_bars():
            model.save_pretrained(temporary)
        if tokenizer is not None:
            tokenizer.save_pretrained(temporary)
        (temporary / SOURCE_FILE).write_text(
            json.dumps({"gguf_file": gguf_path.name, "gguf_sha256": digest}) + "\n"
        )
        temporary.chmod(0o755)  # mkdtemp makes it private
        publish(temporary, out_dir)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return out_dir


def _location(facts: ModelFacts, directory: Path) -> dict[str, Path | str]:
    if facts.format == "gguf":
        return {"pretrained_model_name_or_path": directory, "gguf_file": GGUF_NAME}
    return {"pretrained_model_name_or_path": directory}


def _check_shapes(model_class: type[PreTrainedModel], directory: Path, clean: CleanModel) -> None:
    """The weights are those of the configuration, before memory is taken for what it asks for.

    The library makes what is missing first and tells afterwards; a width of two milliards is made
    too.
    """
    config = model_class.config_class.from_pretrained(directory, local_files_only=True)
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        expected = model_class(config).state_dict()
    tied = set(getattr(model_class, "_tied_weights_keys", None) or ())
    for name, tensor in expected.items():
        found = clean.tensors.get(name)
        if found is None and name in tied and config.tie_word_embeddings:
            continue
        if found is None or found.shape != tuple(tensor.shape):
            raise ModelError(
                "model.corrupt_file",
                f"{clean.facts.path}: config.json asks for {name} of shape {tuple(tensor.shape)}, "
                f"the weights hold {found.shape if found else 'none of that name'}. Use the "
                "config.json that was saved with these weights.",
            )


def _as_dense(model: PreTrainedModel) -> PreTrainedModel:
    """The weights are dense already; without this save_pretrained refuses, thinking otherwise."""
    for owner, names in (
        (model, ("hf_quantizer", "is_quantized", "quantization_method")),
        (model.config, ("quantization_config", "_pre_quantization_dtype")),
    ):
        for name in names:
            if name in vars(owner):
                delattr(owner, name)
    return model


def _restore_pre_tokenizer(tokenizer: PreTrainedTokenizerBase, gguf_path: Path) -> None:
    """Text is split as the model was trained to see it.

    The conversion of GGUF tokenizers drops `tokenizer.ggml.pre`. SmolLM splits off single digits
    before everything else; without that a blank line before a numbered list becomes two tokens
    the model saw as one.
    """
    if read_gguf_header(gguf_path).metadata.get("tokenizer.ggml.pre") == "smollm":
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """transformers draws no progress bars, which would fill a run's log, inside the block."""
    was_enabled = transformers.logging.is_progress_bar_enabled()
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            transformers.logging.enable_progress_bar()

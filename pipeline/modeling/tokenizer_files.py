"""The tokenizer of a foreign model: which of its files and settings travel.

A tokenizer is `tokenizer.json`, the settings of `tokenizer_config.json` named here, and the chat
template as text. Vocabulary files of older libraries say the same again and stay behind.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.errors import ModelError
from pipeline.modeling.value_rules import (
    FLAG,
    NATURAL,
    POSITIVE,
    TEXT,
    Rule,
    either,
    keep_known,
    list_of,
    one_of,
    optional,
    refusal,
)

TOKENIZER_KEYS = frozenset(
    {
        "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
        "post_processor", "decoder", "model",
    }
)  # fmt: skip
TOKENIZER_MODELS = ("BPE", "Unigram", "WordLevel", "WordPiece")
# A class the library ships, and takes for one of the supported architectures. Every other name
# becomes the first, which does what tokenizer.json says and nothing of its own.
TOKENIZER_CLASSES = (
    "TokenizersBackend", "PreTrainedTokenizerFast",
    "LlamaTokenizer", "LlamaTokenizerFast", "GemmaTokenizer", "GemmaTokenizerFast",
    "GPT2Tokenizer", "GPT2TokenizerFast", "Qwen2Tokenizer", "Qwen2TokenizerFast",
)  # fmt: skip
SPECIAL_TOKENS = (
    "bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"
)  # fmt: skip
MAX_TEMPLATE_BYTES = 256 * 2**10
MAX_ADDED_TOKENS = 100_000

_ADDED_TOKEN: dict[str, Rule] = {
    "content": TEXT,
    "lstrip": FLAG,
    "rstrip": FLAG,
    "normalized": FLAG,
    "single_word": FLAG,
    "special": FLAG,
    "__type": one_of(("AddedToken",)),
}


def _is_added_token(value: object) -> bool:
    return (
        isinstance(value, dict)
        and "content" in value
        and value.keys() <= _ADDED_TOKEN.keys()
        and all(_ADDED_TOKEN[key].accepts(item) for key, item in value.items())
    )


def _is_table_of(accepts: Callable[[str, object], bool]) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, dict)
        and len(value) <= MAX_ADDED_TOKENS
        and all(accepts(key, item) for key, item in value.items())
    )


_TOKEN = either(TEXT, Rule("a token with its content and flags", _is_added_token))
_TOKENS = either(
    list_of(_TOKEN, MAX_ADDED_TOKENS),
    Rule("an object of tokens", _is_table_of(lambda _key, item: _TOKEN.accepts(item))),
)
_ADDED_BY_ID = Rule(
    "an object from token numbers to tokens",
    _is_table_of(lambda key, item: key.isascii() and key.isdigit() and _is_added_token(item)),
)
_SIDE = one_of(("left", "right"))
_CONFIG: dict[str, Rule] = {
    **dict.fromkeys(SPECIAL_TOKENS, optional(_TOKEN)),
    "backend": one_of(("tokenizers",)),
    "tokenizer_class": optional(one_of(TOKENIZER_CLASSES)),
    "additional_special_tokens": optional(_TOKENS),
    "extra_special_tokens": optional(_TOKENS),
    "added_tokens_decoder": _ADDED_BY_ID,
    "model_max_length": optional(POSITIVE),
    "max_length": optional(NATURAL),
    "stride": NATURAL,
    "pad_to_multiple_of": optional(NATURAL),
    "pad_token_type_id": NATURAL,
    "padding_side": _SIDE,
    "truncation_side": _SIDE,
    "truncation_strategy": one_of(("longest_first", "only_first", "only_second")),
    "add_bos_token": optional(FLAG),
    "add_eos_token": optional(FLAG),
    "add_prefix_space": optional(FLAG),
    "clean_up_tokenization_spaces": optional(FLAG),
    "split_special_tokens": FLAG,
    "legacy": optional(FLAG),
    "use_default_system_prompt": FLAG,
    "errors": one_of(("strict", "replace", "ignore")),
    "model_input_names": list_of(TEXT, 8),
}


def clean_tokenizer(path: Path, document: object) -> dict[str, object]:
    """`tokenizer.json` with the parts a tokenizer has.

    Raises:
        ModelError: `model.corrupt_file` when it holds no tokenizer, naming file and key.
    """
    model = document.get("model") if isinstance(document, dict) else None
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(document, dict) or not isinstance(vocabulary, dict | list) or not vocabulary:
        raise ModelError(
            "model.corrupt_file",
            f"{path}: model.vocab is missing or empty, so it is no tokenizer. Copy the "
            "tokenizer.json of the model it was trained from.",
        )
    kind = model.get("type", "BPE") if isinstance(model, dict) else None
    if kind not in TOKENIZER_MODELS:
        raise refusal(path, "model.type", kind, f"one of {', '.join(TOKENIZER_MODELS)}")
    kept = {key: value for key, value in document.items() if key in TOKENIZER_KEYS}
    # How the last caller cut and filled its texts, which is nobody's business here: it would cut
    # ours too, and a huge fixed length ends the process.
    return kept | {key: None for key in ("truncation", "padding") if key in kept}


def clean_tokenizer_config(
    path: Path, document: Mapping[str, object], special_tokens: Mapping[str, object]
) -> dict[str, object]:
    """`tokenizer_config.json` with the known settings only; the chat template is a file of its own.

    Args:
        path: Where it was read.
        document: What it holds.
        special_tokens: Content of `special_tokens_map.json`, which older libraries wrote beside it.

    Raises:
        ModelError: `model.unsupported`, naming file and key.
    """
    settings = dict(document)
    for key in SPECIAL_TOKENS:
        if key in special_tokens:
            settings.setdefault(key, special_tokens[key])
    name = settings.get("tokenizer_class")
    if isinstance(name, str) and name not in TOKENIZER_CLASSES:
        settings["tokenizer_class"] = TOKENIZER_CLASSES[0]
    return keep_known(path, settings, _CONFIG)


def template_in_config(path: Path, document: Mapping[str, object]) -> str | None:
    """The chat template that `tokenizer_config.json` holds: its text, or the one named default.

    Raises:
        ModelError: `model.unsupported` when there is none to choose.
    """
    template = document.get("chat_template")
    if template is None or isinstance(template, str):
        return template or None
    if isinstance(template, list):
        for entry in template:
            if isinstance(entry, dict) and entry.get("name") == "default":
                text = entry.get("template")
                if isinstance(text, str) and text:
                    return text
    raise refusal(
        path, "chat_template", template, "a text, or a list with a template named 'default'"
    )


def check_template(path: Path, content: bytes) -> bytes:
    """`content` is a chat template of bearable length, in UTF-8.

    Raises:
        ModelError: `model.unsupported` or `model.corrupt_file`.
    """
    if len(content) > MAX_TEMPLATE_BYTES:
        raise ModelError(
            "model.unsupported",
            f"{path}: the chat template takes {len(content)} bytes; at most {MAX_TEMPLATE_BYTES} "
            "are read. Use the template of the model it was trained from.",
        )
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ModelError(
            "model.corrupt_file",
            f"{path}: the chat template is not UTF-8 ({exc}). Save it as UTF-8.",
        ) from exc
    return content

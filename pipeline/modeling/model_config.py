"""The settings of `config.json` and `generation_config.json` that travel with a model.

An allow-list for each supported `model_type`: what is not named here is left behind, so that a
setting the library learns tomorrow means nothing today. Both files are rebuilt from it.
"""

from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import ModelError
from pipeline.modeling.value_rules import (
    COUNT,
    FLAG,
    NATURAL,
    NUMBER,
    POSITIVE,
    SHARE,
    TEXT,
    TOKEN_IDS,
    Rule,
    keep_known,
    list_of,
    number,
    one_of,
    optional,
    refusal,
    whole,
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
ACTIVATIONS = (
    "gelu", "gelu_fast", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu", "relu2", "relu6",
    "sigmoid", "silu", "swish", "tanh",
)  # fmt: skip
LAYER_TYPES = ("full_attention", "sliding_attention")
ROPE_TYPES = ("default", "linear", "dynamic", "yarn", "longrope", "llama3")
MAX_LAYERS = 1_000

_COMMON = {
    "model_type": one_of(ARCHITECTURES),
    "architectures": optional(list_of(one_of(ARCHITECTURES.values()), 1)),
    "dtype": optional(one_of(("float32", "float16", "bfloat16", "float64"))),
    "torch_dtype": optional(one_of(("float32", "float16", "bfloat16", "float64"))),
    "transformers_version": optional(TEXT),
    "_model_name_or_path": TEXT,
    "vocab_size": COUNT,
    "hidden_size": COUNT,
    "intermediate_size": COUNT,
    "num_hidden_layers": COUNT,
    "num_attention_heads": COUNT,
    "num_key_value_heads": optional(COUNT),
    "head_dim": optional(COUNT),
    "max_position_embeddings": COUNT,
    "hidden_act": one_of(ACTIVATIONS),
    "initializer_range": SHARE,
    "rms_norm_eps": SHARE,
    "attention_bias": FLAG,
    "attention_dropout": optional(SHARE),
    "use_cache": FLAG,
    "tie_word_embeddings": FLAG,
    "bos_token_id": TOKEN_IDS,
    "eos_token_id": TOKEN_IDS,
    "pad_token_id": optional(whole(-1)),
    "unk_token_id": TOKEN_IDS,
    "rope_theta": POSITIVE,
}
_SLIDING = {
    "sliding_window": optional(COUNT),
    "layer_types": optional(list_of(one_of(LAYER_TYPES), MAX_LAYERS)),
}
_WINDOW = _SLIDING | {"use_sliding_window": FLAG, "max_window_layers": NATURAL}
_MLP_BIAS: dict[str, Rule] = {"mlp_bias": FLAG}
_GEMMA = _SLIDING | {
    "hidden_activation": one_of(ACTIVATIONS),
    "query_pre_attn_scalar": POSITIVE,
    "final_logit_softcapping": optional(POSITIVE),
    "attn_logit_softcapping": optional(POSITIVE),
    "use_bidirectional_attention": optional(FLAG),
}
_BY_TYPE: dict[str, dict[str, Rule]] = {
    "gemma2": _GEMMA,
    "gemma3_text": _GEMMA
    | {
        "rope_local_base_freq": POSITIVE,
        "sliding_window_pattern": COUNT,
        "_sliding_window_pattern": COUNT,
    },
    "granite": _MLP_BIAS
    | {
        "embedding_multiplier": NUMBER,
        "logits_scaling": POSITIVE,
        "residual_multiplier": NUMBER,
        "attention_multiplier": NUMBER,
    },
    "llama": _MLP_BIAS | {"pretraining_tp": optional(COUNT)},
    "mistral": {"sliding_window": optional(COUNT)},
    "olmo2": {},
    "phi3": {
        "sliding_window": optional(COUNT),
        "resid_pdrop": SHARE,
        "embd_pdrop": SHARE,
        "original_max_position_embeddings": COUNT,
        "partial_rotary_factor": SHARE,
    },
    "qwen2": _WINDOW,
    "qwen3": _WINDOW,
    "smollm3": _WINDOW
    | _MLP_BIAS
    | {
        "no_rope_layers": optional(list_of(whole(0, 1), MAX_LAYERS)),
        "no_rope_layer_interval": COUNT,
        "pretraining_tp": optional(COUNT),
    },
}
_ROPE = {
    "rope_type": one_of(ROPE_TYPES),
    "type": one_of(ROPE_TYPES),
    "rope_theta": POSITIVE,
    "factor": POSITIVE,
    "original_max_position_embeddings": COUNT,
    "low_freq_factor": POSITIVE,
    "high_freq_factor": POSITIVE,
    "attention_factor": optional(POSITIVE),
    "beta_fast": POSITIVE,
    "beta_slow": POSITIVE,
    "mscale": NUMBER,
    "mscale_all_dim": NUMBER,
    "partial_rotary_factor": number(0, 1),
    "truncate": FLAG,
    "short_factor": list_of(POSITIVE, 4_096),
    "long_factor": list_of(POSITIVE, 4_096),
}
_ROPE_KEYS = ("rope_parameters", "rope_scaling")
_GENERATION = {
    "_from_model_config": FLAG,
    "transformers_version": optional(TEXT),
    "bos_token_id": TOKEN_IDS,
    "eos_token_id": TOKEN_IDS,
    "pad_token_id": optional(whole(-1)),
    "use_cache": optional(FLAG),
    "output_attentions": optional(FLAG),
    "output_hidden_states": optional(FLAG),
    "do_sample": optional(FLAG),
    "max_length": optional(NATURAL),
    "max_new_tokens": optional(NATURAL),
    "repetition_penalty": optional(POSITIVE),
}
_SAMPLING = {
    "temperature": optional(number(0, 100)),
    "top_k": optional(NATURAL),
    "top_p": optional(SHARE),
    "min_p": optional(SHARE),
}


def config_keys(model_type: str) -> frozenset[str]:
    """The keys of `config.json` that travel for a supported `model_type`."""
    return frozenset((*_COMMON, *_BY_TYPE[model_type], *_ROPE_KEYS))


def clean_config(path: Path, document: Mapping[str, object]) -> dict[str, object]:
    """`config.json` with the known settings only, each of them usable.

    Raises:
        ModelError: `model.unsupported` for a model we do not load or a value no loader can use,
            naming file and key.
    """
    model_type = document.get("model_type")
    if not isinstance(model_type, str) or model_type not in ARCHITECTURES:
        raise ModelError(
            "model.unsupported",
            f"{path}: model_type {model_type!r:.200} is not supported; supported are "
            f"{', '.join(sorted(ARCHITECTURES))}.",
        )
    architecture = ARCHITECTURES[model_type]
    if document.get("architectures") not in (None, [architecture]):
        raise ModelError(
            "model.unsupported",
            f"{path}: architectures {document['architectures']!r:.200}; only {architecture} is "
            f"loaded for {model_type}.",
        )
    if "quantization_config" in document:
        raise ModelError(
            "model.unsupported",
            f"{path} describes quantised weights (quantization_config). Give the unquantised "
            "checkpoint or a .gguf file.",
        )
    rope = {key: _rope_rule(path, key, document[key]) for key in _ROPE_KEYS if key in document}
    kept = keep_known(path, document, _COMMON | _BY_TYPE[model_type])
    cleaned = {
        key: rope[key] if key in rope else kept[key]
        for key in document
        if key in rope or key in kept
    }
    _check_heads(path, cleaned)
    return cleaned


def _rope_rule(path: Path, key: str, value: object) -> object:
    """The known settings of the position encoding, also where kinds of layers have one each."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise refusal(path, key, value, "an object or null")
    if not set(value) & set(LAYER_TYPES):
        return keep_known(path, value, _ROPE, within=f"{key}.")
    kept: dict[str, object] = {}
    for name in value:
        if name in LAYER_TYPES:
            if not isinstance(value[name], dict):
                raise refusal(path, f"{key}.{name}", value[name], "an object")
            kept[name] = keep_known(path, value[name], _ROPE, within=f"{key}.{name}.")
    return kept


def _check_heads(path: Path, config: Mapping[str, object]) -> None:
    """Every width divides as the attention needs it."""
    heads = config.get("num_attention_heads")
    if not isinstance(heads, int):
        raise refusal(path, "num_attention_heads", heads, COUNT.expected)
    key_value_heads = config.get("num_key_value_heads")
    if isinstance(key_value_heads, int) and heads % key_value_heads:
        raise refusal(
            path, "num_key_value_heads", key_value_heads, f"a divisor of the {heads} heads"
        )
    hidden_size = config.get("hidden_size")
    if config.get("head_dim") is None and isinstance(hidden_size, int) and hidden_size % heads:
        raise refusal(
            path, "num_attention_heads", heads, f"a divisor of the hidden_size {hidden_size}"
        )
    layers = config.get("num_hidden_layers")
    for key in ("layer_types", "no_rope_layers"):
        listed = config.get(key)
        if isinstance(listed, list) and len(listed) != layers:
            raise refusal(path, key, f"{len(listed)} entries", f"one for each of {layers} layers")
    vocab_size, padding = config.get("vocab_size"), config.get("pad_token_id")
    if isinstance(vocab_size, int) and isinstance(padding, int) and padding >= vocab_size:
        raise refusal(path, "pad_token_id", padding, f"one of the {vocab_size} tokens")


def clean_generation_config(path: Path, document: Mapping[str, object]) -> dict[str, object]:
    """`generation_config.json` with numbers and flags only.

    How to sample is kept where the file says to sample; elsewhere the library refuses to save it.

    Raises:
        ModelError: `model.unsupported`, naming file and key.
    """
    samples = document.get("do_sample") is True
    return keep_known(path, document, _GENERATION | (_SAMPLING if samples else {}))

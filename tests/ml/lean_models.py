"""Models of a few thousand weights for the kernel, one for each thing in which they differ."""

import os
import shutil

import pytest
import torch
import transformers

from pipeline.decoding.lean import build

VOCAB_SIZE = 67  # not a multiple of 16
MIXED = {
    "sliding_window": 6,
    "use_sliding_window": True,
    "layer_types": ["sliding_attention", "full_attention"],
}
SCALED = {"rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 16}
MODELS = {
    "llama": ("Llama", {}),
    "tied": ("Llama", {"tie_word_embeddings": True}),
    "attention_bias": ("Llama", {"attention_bias": True}),
    "one_key_head": ("Llama", {"num_attention_heads": 8, "num_key_value_heads": 1}),
    "a_key_head_each": ("Llama", {"num_key_value_heads": 4}),
    "linear_angles": ("Llama", {"rope_parameters": {"rope_type": "linear", **SCALED}}),
    "yarn_angles": ("Llama", {"rope_parameters": {"rope_type": "yarn", **SCALED}}),
    "llama3_angles": (
        "Llama",
        {
            "rope_parameters": {
                "rope_type": "llama3",
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                **SCALED,
            }
        },
    ),
    "mistral": ("Mistral", {"sliding_window": None}),
    "mistral_window": ("Mistral", {"sliding_window": 6}),
    "qwen2": ("Qwen2", {}),
    "qwen2_windows": ("Qwen2", MIXED),
    "qwen3": ("Qwen3", {"tie_word_embeddings": True}),
    "qwen3_windows": ("Qwen3", MIXED),
}


def lean_model(name, *, seed=0, **changes):
    """The model of that name in `MODELS`, random in every weight; `changes` of its settings."""
    architecture, options = MODELS[name]
    settings = {
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 128,
        "tie_word_embeddings": False,
        "initializer_range": 0.3,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    config = getattr(transformers, f"{architecture}Config")(**settings | options | changes)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = getattr(transformers, f"{architecture}ForCausalLM")(config)
        for key, weight in model.named_parameters():
            if key.endswith("norm.weight"):
                weight.uniform_(0.5, 1.5)
            elif key.endswith("bias"):
                weight.normal_(std=0.3)
    return model.eval()


def require_kernel():
    """The kernel is built and loaded in this process; without a compiler the test is skipped."""
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        pytest.skip("no compiler for the decoding kernel")
    build.build()
    build.load.cache_clear()
    assert build.load() is not None

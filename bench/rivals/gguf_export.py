"""A Llama as a GGUF file in float32 (or float16), for rivals that read no other.

    python -m bench.rivals.gguf_export MODEL FILE [--dtype f16]

llama.cpp's own converter (as of llama-cpp-python 0.3.16) does not know where transformers 5 keeps
the base of the rotary angles and leaves it out of the file without a word; a model read from that
file answers otherwise from the first tokens on. Names and keys are those of the package `gguf`.
"""

import argparse
import json
from pathlib import Path

import gguf
import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.modeling.loading import load_model, load_tokenizer

ARCHITECTURE = gguf.MODEL_ARCH.LLAMA


def export(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, path: Path) -> None:
    """`path` holds the model in its own number format, with its vocabulary.

    Raises:
        ValueError: it is no plain Llama with the usual rotary angles.
    """
    config = model.config
    angles = config.rope_parameters
    if config.model_type != "llama" or config.attention_bias or angles["rope_type"] != "default":
        raise ValueError(f"{config.model_type} with angles {angles} is no plain Llama")
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[ARCHITECTURE])
    is_half = model.dtype == torch.float16
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if is_half else gguf.LlamaFileType.ALL_F32)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(angles["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    _add_vocabulary(writer, tokenizer, config.vocab_size)
    _add_tensors(writer, model)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_vocabulary(
    writer: gguf.GGUFWriter, tokenizer: PreTrainedTokenizerBase, vocab_size: int
) -> None:
    """Prompts are token ids: how text would be split (`pre`) is not what is compared."""
    special = set(tokenizer.all_special_ids)
    tokens = [f"<unused {number}>" for number in range(vocab_size)]
    for token, number in tokenizer.get_vocab().items():
        tokens[number] = token
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_vocab_size(vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    kinds = gguf.TokenType
    writer.add_token_types(
        [kinds.CONTROL if number in special else kinds.NORMAL for number in range(vocab_size)]
    )
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_add_bos_token(False)


def _add_tensors(writer: gguf.GGUFWriter, model: PreTrainedModel) -> None:
    config = model.config
    names = gguf.get_tensor_name_map(ARCHITECTURE, config.num_hidden_layers)
    heads = {
        "q_proj.weight": config.num_attention_heads,
        "k_proj.weight": config.num_key_value_heads,
    }
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = tensor.numpy()
        for ending, number in heads.items():
            if name.endswith(ending):
                # llama.cpp rotates neighbours, transformers the halves of a head.
                halves = values.reshape(number, 2, config.head_dim // 2, -1)
                values = halves.swapaxes(1, 2).reshape(values.shape)
        if values.ndim == 1:
            values = values.astype(np.float32)
        writer.add_tensor(f"{names.get_name(name.removesuffix('.weight'))}.weight", values)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.rivals.gguf_export")
    parser.add_argument("model", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--dtype", choices=("f32", "f16"), default="f32")
    options = parser.parse_args()
    dtype = torch.float16 if options.dtype == "f16" else torch.float32
    export(
        load_model(options.model, dtype=dtype, device="cpu"),
        load_tokenizer(options.model),
        options.file,
    )

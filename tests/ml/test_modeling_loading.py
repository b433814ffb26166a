"""Local checkpoints and GGUF files load as dense models; digests and vocabularies are compared."""

import json

import gguf
import pytest
import torch

from pipeline.errors import ModelError
from pipeline.modeling.inspection import inspect_model_directory
from pipeline.modeling.loading import (
    dequantize_gguf,
    file_sha256,
    load_model,
    load_tokenizer,
    require_same_vocabulary,
)
from pipeline.modeling.tiny import (
    CHATML_TEMPLATE,
    SPECIAL_TOKENS,
    TINY_VOCAB_SIZE,
    save_tiny_model,
    tiny_llama,
    tiny_tokenizer,
)
from pipeline.provenance import path_digest

GGUF_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def interleave_heads(weight, num_heads):
    """llama.cpp pairs neighbouring rotary dimensions; transformers pairs the two halves."""
    return weight.reshape(num_heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def write_gguf(path, quantization, seed=0):
    """A tiny model, whose tokenizer has one merge, as llama.cpp would have written it."""
    model = tiny_llama(vocab_size=TINY_VOCAB_SIZE + 1, seed=seed)
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    tokens = sorted(tiny_tokenizer().get_vocab().items(), key=lambda item: item[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    tokens = [*(token for token, _ in tokens), "ĊĊ"]
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in SPECIAL_TOKENS else 1 for token in tokens])
    writer.add_token_merges(["Ċ Ċ"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_chat_template(CHATML_TEMPLATE)
    for name, tensor in model.state_dict().items():
        array = tensor.numpy()
        if name == "lm_head.weight":
            continue
        if name == "model.embed_tokens.weight":
            target = "token_embd.weight"
        elif name == "model.norm.weight":
            target = "output_norm.weight"
        else:
            _, _, layer, *middle, _ = name.split(".")
            target = f"blk.{layer}.{GGUF_NAMES['.'.join(middle)]}.weight"
        if "q_proj" in name:
            array = interleave_heads(array, config.num_attention_heads)
        if "k_proj" in name:
            array = interleave_heads(array, config.num_key_value_heads)
        if array.ndim == 2:
            array = gguf.quants.quantize(array, quantization)
            writer.add_tensor(target, array, raw_dtype=quantization)
        else:
            writer.add_tensor(target, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def gguf_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return write_gguf(path, gguf.GGMLQuantizationType.F32)


def written_model():
    return tiny_llama(vocab_size=TINY_VOCAB_SIZE + 1)


def logits_of(model):
    with torch.inference_mode():
        return model(torch.arange(3, 40).unsqueeze(0)).logits


def test_gguf_gives_the_logits_of_the_model_it_was_written_from(gguf_path):
    model = load_model(gguf_path)
    assert not model.training
    assert model.config._attn_implementation == "sdpa"
    torch.testing.assert_close(logits_of(model), logits_of(written_model()), atol=1e-5, rtol=1e-5)


def test_quantised_gguf_is_close_to_the_model_it_was_written_from(tmp_path):
    path = write_gguf(tmp_path / "q.gguf", gguf.GGMLQuantizationType.Q8_0)
    assert inspect_model_directory(path).dtype == "Q8_0"
    expected, actual = logits_of(written_model()), logits_of(load_model(path))
    relative_error = (expected - actual).norm() / expected.norm()
    assert 0 < relative_error < 0.05


def test_dequantised_directory_is_an_ordinary_checkpoint(gguf_path, tmp_path):
    out = dequantize_gguf(gguf_path, tmp_path / "out", expected_sha256=file_sha256(gguf_path))
    assert torch.equal(logits_of(load_model(out)), logits_of(load_model(gguf_path)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    tokenizer = load_tokenizer(out)
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == [0, 1, 2]
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (1, 2)
    text = "国有资产 123\n\n1. <|im_start|>user"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    chat = [{"role": "user", "content": "hi"}]
    assert tokenizer.apply_chat_template(
        chat, tokenize=False
    ) == tiny_tokenizer().apply_chat_template(chat, tokenize=False)


def test_smollm_text_is_split_at_single_digits_as_in_training(gguf_path):
    tokenizer = load_tokenizer(gguf_path)
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("a\n\n12")["input_ids"])
    assert tokens == ["a", "ĊĊ", "1", "2"]


def test_dequantising_again_keeps_the_directory_and_never_mixes_two_sources(gguf_path, tmp_path):
    out = dequantize_gguf(gguf_path, tmp_path / "out")
    written = (out / "model.safetensors").stat().st_mtime_ns
    assert dequantize_gguf(gguf_path, out) == out
    assert (out / "model.safetensors").stat().st_mtime_ns == written
    other = write_gguf(tmp_path / "other.gguf", gguf.GGMLQuantizationType.F32, seed=9)
    with pytest.raises(ModelError) as info:
        dequantize_gguf(other, out)
    assert info.value.code == "model.digest_mismatch"
    with pytest.raises(ModelError, match="fetch it again"):
        dequantize_gguf(gguf_path, tmp_path / "third", expected_sha256="0" * 64)
    assert not (tmp_path / "third").exists()


def test_digest_covers_what_decides_the_output_and_nothing_else(tmp_path):
    first = save_tiny_model(tmp_path / "first")
    again = save_tiny_model(tmp_path / "again")
    digest = path_digest(first)
    assert digest == path_digest(again)
    (first / "MANIFEST.json").write_text("{}")
    (first / "optimizer.safetensors").write_bytes(b"")
    assert path_digest(first) == digest
    assert path_digest(save_tiny_model(tmp_path / "other", seed=1)) != digest
    (again / "chat_template.jinja").write_text("{{ messages }}")
    assert path_digest(again) != digest


def test_saving_a_loaded_tokenizer_changes_no_byte_of_its_configuration(tmp_path):
    model = save_tiny_model(tmp_path / "model")
    load_tokenizer(model).save_pretrained(model)
    first = (model / "tokenizer_config.json").read_text()
    digest = path_digest(model)
    load_tokenizer(model).save_pretrained(model)
    assert (model / "tokenizer_config.json").read_text() == first
    assert path_digest(model) == digest
    assert not {"local_files_only", "is_local", "trust_remote_code"} & json.loads(first).keys()


def test_vocabulary_mismatch_is_named(tmp_path):
    target = save_tiny_model(tmp_path / "target")
    require_same_vocabulary(target, save_tiny_model(tmp_path / "same", num_layers=1))
    smaller = tmp_path / "smaller"
    tiny_llama(vocab_size=200).save_pretrained(smaller)
    with pytest.raises(ModelError, match=r"259 tokens .* 200") as info:
        require_same_vocabulary(target, smaller)
    assert info.value.code == "model.vocabulary_mismatch"
    renumbered = save_tiny_model(tmp_path / "renumbered")
    document = json.loads((renumbered / "tokenizer.json").read_text())
    vocabulary = document["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    (renumbered / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match="'a'") as info:
        require_same_vocabulary(target, renumbered)
    assert info.value.code == "model.vocabulary_mismatch"


def test_model_without_tokenizer_is_an_error_that_says_what_to_copy(tmp_path):
    tiny_llama().save_pretrained(tmp_path)
    load_model(tmp_path)
    with pytest.raises(ModelError, match=r"tokenizer\.json") as info:
        load_tokenizer(tmp_path)
    assert info.value.code == "model.not_found"

"""The test models are real checkpoints: loadable, deterministic, with a working chat template."""

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline.modeling.tiny import TINY_VOCAB_SIZE, save_tiny_model, tiny_llama, tiny_tokenizer


def test_saved_directory_loads_with_equal_weights(tmp_path):
    save_tiny_model(tmp_path / "model", seed=3)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    expected = tiny_llama(seed=3).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.state_dict().items())
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert len(tokenizer) == loaded.config.vocab_size == TINY_VOCAB_SIZE


def test_seed_decides_the_weights_and_leaves_the_global_random_state_alone():
    state = torch.random.get_rng_state()
    first, again, other = tiny_llama(seed=1), tiny_llama(seed=1), tiny_llama(seed=2)
    assert torch.equal(torch.random.get_rng_state(), state)
    weight = "model.layers.0.mlp.up_proj.weight"
    assert torch.equal(first.state_dict()[weight], again.state_dict()[weight])
    assert not torch.equal(first.state_dict()[weight], other.state_dict()[weight])


def test_every_text_round_trips_and_chat_markers_are_single_tokens():
    tokenizer = tiny_tokenizer()
    for text in (
        "plain text",
        "  two  spaces\n",
        "国有资产监督管理",
        "mixed 中文 emoji \U0001f600",
    ):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hi"}], add_generation_prompt=True, tokenize=False
    )
    assert prompt == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    assert (ids.count(1), ids.count(2)) == (2, 1)
    assert tokenizer.decode(ids, skip_special_tokens=True) == "user\nhi\nassistant\n"


def test_greedy_decoding_of_random_weights_is_not_one_repeated_token():
    prompt = torch.arange(3, 23).unsqueeze(0)
    output = tiny_llama(seed=5).generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=40, do_sample=False
    )
    assert len(set(output[0, 20:].tolist())) >= 8

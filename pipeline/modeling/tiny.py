"""Random-weight models and a byte-level tokenizer, made offline: the real libraries at test size.

The architecture, the tokenizer file and the directory layout are those of a downloaded checkpoint,
so a test that passes here exercises the same code paths as SmolLM2-135M.
"""

from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TINY_VOCAB_SIZE = 256 + len(SPECIAL_TOKENS)
CHATML_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def tiny_llama(
    *,
    vocab_size: int = TINY_VOCAB_SIZE,
    hidden_size: int = 64,
    num_layers: int = 2,
    num_heads: int = 4,
    num_key_value_heads: int = 2,
    max_position_embeddings: int = 512,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> LlamaForCausalLM:
    """A Llama of random weights in eval mode; the same arguments give the same weights.

    The global random state is left as it was. Grouped-query attention and tied embeddings are on,
    as in SmolLM2, because both have special cases in checkpoint and cache code.
    """
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        intermediate_size=hidden_size * 3,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        num_key_value_heads=num_key_value_heads,
        max_position_embeddings=max_position_embeddings,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        # Ten times the default deviation: at 0.02 all logits are nearly equal and greedy decoding
        # of a random model falls into a one-token loop, which would hide wrong cache contents.
        initializer_range=0.2,
        attn_implementation="sdpa",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    return model.to(dtype).eval()


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer of 259 tokens with ChatML special tokens and chat template.

    Ids 0-2 are `<|endoftext|>` (also padding), `<|im_start|>` and `<|im_end|>` (end of sequence),
    as in SmolLM2; ids 3-258 are the 256 bytes, so every text in every language round-trips.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate((*SPECIAL_TOKENS, *alphabet))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",  # noqa: S106 (a vocabulary entry, not a password)
        eos_token="<|im_end|>",  # noqa: S106
        pad_token="<|endoftext|>",  # noqa: S106
        chat_template=CHATML_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def save_tiny_model(directory: Path, *, num_layers: int = 2, seed: int = 0) -> Path:
    """`directory` holds a checkpoint that `load_model` and `load_tokenizer` accept; returns it."""
    directory = Path(directory)
    tiny_llama(num_layers=num_layers, seed=seed).save_pretrained(directory)
    tiny_tokenizer().save_pretrained(directory)
    return directory

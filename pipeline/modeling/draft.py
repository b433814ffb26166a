"""A small model that drafts for a larger one."""

import copy

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedConfig, PreTrainedModel

from pipeline.errors import ModelError

EMBEDDING_RMS = 0.05
"""Scale of the draft's embeddings: small beside what a fresh layer adds to them."""
LOGIT_STD = 1.4
"""Spread of a fresh draft's logits: nearly uniform predictions."""


def build_draft(
    target: PreTrainedModel, *, num_layers: int = 2, hidden_size: int = 192, seed: int = 0
) -> LlamaForCausalLM:
    """A shallow and narrow Llama with the target's vocabulary, ready to be distilled.

    Why shallow: on small models and small batches a forward pass costs its number of layers, hardly
    their width; each drafted token pays that cost, so depth is what acceptance has to earn back.
    Why narrow: the output layer reads vocabulary x width numbers for each drafted token and is most
    of such a draft. Why the embeddings: they are most of its parameters too, and the few tokens a
    draft is trained on never touch most rows. The best approximation of the target's embeddings in
    `hidden_size` dimensions (truncated SVD) gives every row a meaning from the start; input and
    output share it. Their scale is reset: at the target's own, a shared embedding makes a fresh
    draft expect its input token again (30 nats on SmolLM2, where guessing has 11), and most of a
    short training goes into unlearning that. Layers start from random numbers. Cutting layers out
    of the target instead keeps its full width and its full output layer, which costs more than it
    gains at this size; `cut_draft` does that.

    Args:
        target: Any causal language model with an input embedding matrix.
        num_layers: Decoder layers of the draft.
        hidden_size: Width of the draft; less than the target's.
        seed: Decides the layers' random weights; same arguments, same draft.

    Returns:
        The draft on the target's device, in its dtype, in eval mode.

    Raises:
        ModelError: `model.unsupported` when the width does not fit.
    """
    config = target.config
    embeddings = target.get_input_embeddings().weight.detach()
    if not 8 <= hidden_size <= embeddings.shape[1] or hidden_size % 2:
        raise ModelError(
            "model.unsupported",
            f"A draft of width {hidden_size} does not fit a target of width "
            f"{embeddings.shape[1]}. Give an even width from 8 to the target's.",
        )
    draft_config = _draft_config(config, num_layers, hidden_size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        draft = LlamaForCausalLM(draft_config)
    factor = low_rank_embeddings(embeddings, hidden_size)
    factor *= EMBEDDING_RMS / factor.square().mean().sqrt()
    with torch.no_grad():
        draft.model.embed_tokens.weight.copy_(factor)
        draft.model.norm.weight.fill_(LOGIT_STD / (EMBEDDING_RMS * hidden_size**0.5))
    draft.tie_weights()
    return draft.to(device=target.device, dtype=target.dtype).eval()


def cut_draft(target: PreTrainedModel, *, num_layers: int, hidden_size: int) -> PreTrainedModel:
    """A draft of the target's own layers, evenly spread from its first to its last.

    Embeddings, output layer and last norm are the target's too. Nothing is random: same arguments,
    same draft.

    Args:
        target: A causal language model with `model.layers`.
        num_layers: Decoder layers of the draft, at most the target's.
        hidden_size: The target's width; layers have no other.

    Returns:
        The draft, of the target's architecture, on its device, in its dtype, in eval mode.

    Raises:
        ModelError: `model.unsupported` for more layers than there are or for another width.
    """
    config = copy.deepcopy(target.config)
    if hidden_size != config.hidden_size or num_layers > config.num_hidden_layers:
        raise ModelError(
            "model.unsupported",
            f"A draft of {num_layers} layers of width {hidden_size} cannot be cut out of a target "
            f"of {config.num_hidden_layers} layers of width {config.hidden_size}. Give its width "
            "and no more layers, or start the draft from random numbers.",
        )
    taken = torch.linspace(0, config.num_hidden_layers - 1, num_layers).round().long().tolist()
    config.num_hidden_layers = num_layers
    for name in ("layer_types", "no_rope_layers"):
        by_layer = getattr(config, name, None)
        if by_layer is not None:
            setattr(config, name, [by_layer[layer] for layer in taken])
    with torch.random.fork_rng(devices=[]):
        draft = type(target)(config)
    own = target.state_dict()
    draft.load_state_dict({name: own[_name_in_target(name, taken)] for name in draft.state_dict()})
    draft.tie_weights()
    return draft.to(device=target.device, dtype=target.dtype).eval()


def _name_in_target(name: str, taken: list[int]) -> str:
    """`model.layers.1.…` of the draft is `model.layers.29.…` of the target."""
    before, found, rest = name.partition("layers.")
    if not found:
        return name
    layer, _, parameter = rest.partition(".")
    return f"{before}layers.{taken[int(layer)]}.{parameter}"


def low_rank_embeddings(embeddings: Tensor, rank: int) -> Tensor:
    """`embeddings` `[V, D]` in the `rank` directions that keep most of them, `[V, rank]`, float64.

    This is U S of the truncated SVD: inner products between tokens are kept as well as `rank`
    dimensions can. Taken from the eigenvectors of the small D x D matrix; each one's sign is fixed
    by its largest component, so that the result does not depend on the solver's choice.
    """
    matrix = embeddings.double().cpu()
    _, vectors = torch.linalg.eigh(matrix.T @ matrix)
    directions = vectors[:, -rank:].flip(1)
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))
    return matrix @ (directions * largest.sign())


def _draft_config(config: PreTrainedConfig, num_layers: int, hidden_size: int) -> LlamaConfig:
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if hidden_size % head_dim:
        head_dim = hidden_size
    rope = getattr(config, "rope_parameters", None) or {}
    return LlamaConfig(
        vocab_size=config.vocab_size,
        hidden_size=hidden_size,
        intermediate_size=hidden_size * config.intermediate_size // config.hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=hidden_size // head_dim,
        num_key_value_heads=hidden_size // head_dim,
        head_dim=head_dim,
        max_position_embeddings=config.max_position_embeddings,
        rms_norm_eps=config.rms_norm_eps,
        # Models with several kinds of layers nest one set of parameters for each kind.
        rope_theta=rope.get("rope_theta", 10_000.0),
        tie_word_embeddings=True,
        # The library's 0.02 suits widths of thousands; here the layers would add next to nothing.
        initializer_range=hidden_size**-0.5,
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        attn_implementation="sdpa",
    )

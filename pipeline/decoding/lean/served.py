"""Which transformers models the kernel serves."""

from collections.abc import Iterator
from functools import partial
from itertools import chain

import torch
from torch import Tensor, nn
from transformers import (
    LlamaForCausalLM,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2ForCausalLM,
    Qwen3ForCausalLM,
)

from pipeline.decoding.lean.structs import PANEL
from pipeline.decoding.linear import small_batch_linear

MAX_PARAMETERS = 1_500_000_000
"""The packed copy of a model of this size takes 6 GB beside the model itself."""
SERVED = (LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM)
ROPE_TYPES = ("default", "linear", "llama3", "yarn")
"""Those whose angles depend on the position alone, not on how long the sequence is."""


def refusal(model: PreTrainedModel) -> str | None:
    """Why the kernel cannot serve `model`; None when it can. Everything unknown is refused."""
    if type(model) not in SERVED:
        return f"{type(model).__name__} is not one of the kernel's architectures"
    if any(p.device.type != "cpu" or p.dtype != torch.float32 for p in _tensors(model)):
        return "the kernel computes in float32 on a CPU"
    if model.training or any(p.is_inference() for p in model.parameters()):
        return "the model is being trained, or its weights may change unnoticed"
    if sum(p.numel() for p in model.parameters()) > MAX_PARAMETERS:
        return f"the model has more than {MAX_PARAMETERS} parameters"
    config = model.config
    layer = model.model.layers[0].self_attn
    sizes = (config.hidden_size, config.intermediate_size, layer.head_dim)
    if any(size % PANEL for size in sizes):
        return f"hidden, inner and head sizes {sizes} are not multiples of {PANEL}"
    if config.hidden_act not in ("silu", "swish") or getattr(config, "mlp_bias", False):
        return "its feed-forward layers are not plain SwiGLU"
    if model.model.rotary_emb.rope_type not in ROPE_TYPES:
        return f"its rotary angles ({model.model.rotary_emb.rope_type}) depend on the length"
    return _altered(model)


def _altered(model: PreTrainedModel) -> str | None:
    """Adapters, quantised layers and hooks are not in the weights that would be packed."""
    norm = type(model.model.norm)
    kinds = {nn.Linear, nn.Embedding, norm, *(type(m) for m in (model, model.model))}
    first = model.model.layers[0]
    parts = (model.model.layers, first, first.self_attn, first.mlp, first.mlp.act_fn)
    kinds |= {type(part) for part in (*parts, model.model.rotary_emb)}
    for module in model.modules():
        hooks = (module._forward_hooks, module._forward_pre_hooks)
        forward = vars(module).get("forward")
        is_swapped = isinstance(forward, partial) and forward.func is small_batch_linear
        if any(hooks) or not (forward is None or is_swapped):
            return "its forward pass has been changed"
        if type(module) not in kinds:
            return f"it has a {type(module).__name__}"
    return None


def _tensors(model: PreTrainedModel) -> Iterator[Tensor]:
    return chain(model.parameters(), model.buffers())

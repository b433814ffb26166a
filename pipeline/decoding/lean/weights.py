"""A transformers model's weights in the kernel's layout."""

import ctypes

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pipeline.decoding.lean.structs import PANEL, LayerStruct, ModelStruct, Pointer

MAX_CACHE_BYTES = 2 * 2**30
POSITIONS_AT_A_TIME = 1024


def fingerprint(model: PreTrainedModel) -> tuple[tuple[int, int], ...]:
    """Differs when a weight was replaced, moved, or written to in place."""
    return tuple((p.data_ptr(), p._version) for p in model.parameters())


class PackedModel:
    """The weights of a model that `served.refusal` lets through.

    Angles are computed as far as they are needed; output layers of a part of the vocabulary are
    kept, the last one only.

    Args:
        model: What is packed; its embeddings are shared unless they are tied to the output layer.
        kernel: As `build.load` gives it.
    """

    def __init__(self, model: PreTrainedModel, kernel: ctypes.CDLL) -> None:
        self.kernel = kernel
        self.fingerprint = fingerprint(model)
        config, base = model.config, model.model
        attention = base.layers[0].self_attn
        self.vocab_size: int = model.lm_head.weight.shape[0]
        self.num_layers = len(base.layers)
        self.key_heads: int = config.num_key_value_heads
        self.head_dim: int = attention.head_dim
        self._rotary = base.rotary_emb
        self._kept: list[Tensor] = []
        self._layers = (LayerStruct * self.num_layers)(*map(self._pack_layer, base.layers))
        head = pack(model.lm_head.weight.detach())
        is_tied = base.embed_tokens.weight is model.lm_head.weight
        embedding = None if is_tied else base.embed_tokens.weight.detach()
        self._full_head = head
        self._partial_head: tuple[bytes, Tensor] | None = None
        self._cosines = self._sines = torch.empty(0, self.head_dim // 2)
        self.struct = ModelStruct(
            layers=self._layers,
            embedding=self._keep(embedding),
            tied_embedding=_pointer(head) if is_tied else None,
            norm=self._keep(base.norm.weight),
            num_layers=self.num_layers,
            hidden=config.hidden_size,
            heads=config.num_attention_heads,
            key_heads=self.key_heads,
            head_dim=self.head_dim,
            inner=config.intermediate_size,
            vocabulary=self.vocab_size,
            epsilon=base.norm.variance_epsilon,
            scale=attention.scaling,
        )

    def rows_that_fit(self, capacity: int) -> int:
        """Sequences of `capacity` tokens that a cache of `MAX_CACHE_BYTES` holds, at least 1."""
        bytes_per_token = 2 * 4 * self.num_layers * self.key_heads * self.head_dim
        return max(1, MAX_CACHE_BYTES // (bytes_per_token * (capacity + PANEL)))

    def prepare(self, capacity: int, output_ids: Tensor | None) -> tuple[ModelStruct, object]:
        """The kernel's description for sequences of `capacity` tokens, and what it points to.

        Both must live as long as the description is used.
        """
        if len(self._cosines) < capacity:
            self._extend_angles(capacity)
        head, outputs = self._full_head, self.vocab_size
        if output_ids is not None:
            head, outputs = self._head_of(output_ids), len(output_ids)
        struct = ModelStruct.from_buffer_copy(self.struct)
        struct.cosines, struct.sines = _pointer(self._cosines), _pointer(self._sines)
        struct.head, struct.outputs = _pointer(head), outputs
        return struct, (self, self._cosines, self._sines, head)

    def _pack_layer(self, layer: nn.Module) -> LayerStruct:
        attention, mlp = layer.self_attn, layer.mlp
        projections = (attention.q_proj, attention.k_proj, attention.v_proj)
        biases = [projection.bias for projection in projections]
        has_bias = biases[0] is not None
        gate, up = pack(mlp.gate_proj.weight.detach()), pack(mlp.up_proj.weight.detach())
        return LayerStruct(
            input_norm=self._keep(layer.input_layernorm.weight),
            qkv=self._keep(pack(torch.cat([one.weight.detach() for one in projections]))),
            qkv_bias=self._keep(torch.cat(biases) if has_bias else None),
            query_norm=self._keep(_weight_of(attention, "q_norm")),
            key_norm=self._keep(_weight_of(attention, "k_norm")),
            out=self._keep(pack(attention.o_proj.weight.detach())),
            out_bias=self._keep(attention.o_proj.bias),
            post_norm=self._keep(layer.post_attention_layernorm.weight),
            gate_up=self._keep(torch.stack([gate, up], dim=1)),
            down=self._keep(pack(mlp.down_proj.weight.detach())),
            window=_window(attention) or 0,
        )

    def _keep(self, tensor: Tensor | None) -> object:
        if tensor is None:
            return None
        self._kept.append(tensor.detach().contiguous())
        return _pointer(self._kept[-1])

    def _head_of(self, output_ids: Tensor) -> Tensor:
        key = output_ids.numpy().tobytes()
        if self._partial_head is None or self._partial_head[0] != key:
            panels = self._full_head[output_ids // PANEL, :, output_ids % PANEL]
            self._partial_head = (key, pack(panels))
        return self._partial_head[1]

    def _extend_angles(self, capacity: int) -> None:
        """Cosines and sines of transformers' own angles, `[position, head_dim / 2]`.

        Taken in float64: a vectorised float32 cosine may differ in its last bit with the place of a
        number in the vector, and a position's angle must not depend on how many are computed.
        """
        count = -(-capacity // POSITIONS_AT_A_TIME) * POSITIONS_AT_A_TIME
        frequencies = self._rotary.inv_freq.detach().float()
        angles = (torch.arange(count).float()[:, None] * frequencies).double()
        scaling = self._rotary.attention_scaling
        self._cosines, self._sines = angles.cos().float() * scaling, angles.sin().float() * scaling


def pack(weight: Tensor) -> Tensor:
    """`[out, in]` as panels of 16 outputs `[ceil(out / 16), in, 16]`, padded with zeros."""
    padded = nn.functional.pad(weight, (0, 0, 0, -weight.shape[0] % PANEL))
    return padded.view(-1, PANEL, weight.shape[1]).transpose(1, 2).contiguous()


def _window(attention: nn.Module) -> int | None:
    # Mistral's window is in its configuration, for every layer; Qwen's layers have their own.
    if hasattr(attention, "sliding_window"):
        return attention.sliding_window
    return getattr(attention.config, "sliding_window", None)


def _weight_of(module: nn.Module, name: str) -> Tensor | None:
    found = getattr(module, name, None)
    return None if found is None else found.weight


def _pointer(tensor: Tensor) -> object:
    return ctypes.cast(tensor.data_ptr(), Pointer)

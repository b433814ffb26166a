"""A key-value cache of fixed size in which taking tokens back costs nothing.

Keys and values live in tensors that are allocated once; each sequence of the batch has its own
length. Rolling back is lowering a length: what lies beyond it is overwritten by the next tokens and
masked until then. Growing caches copy everything for each token and again for each rollback.

Shapes: B sequences, T new tokens, S used slots, C capacity, H key-value heads, D head dimension.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.cache_utils import Cache, CacheLayerMixin

from pipeline.decoding.linear import small_batch_linear
from pipeline.errors import DecodingError


class KVCache(Cache):
    """A transformers `Cache` whose sequences may have different lengths.

    `lengths` holds the number of tokens of each sequence. While all are equal the model builds its
    own masks; otherwise `attention_mask` must be passed to it.
    """

    def __init__(self, *, num_layers: int, batch_size: int, capacity: int, device: torch.device):
        self.capacity = capacity
        self.device = device
        self.lengths = [0] * batch_size
        super().__init__(layers=[_Layer(self) for _ in range(num_layers)])

    @property
    def batch_size(self) -> int:
        return len(self.lengths)

    @property
    def max_length(self) -> int:
        return max(self.lengths)

    @property
    def is_uniform(self) -> bool:
        return min(self.lengths) == max(self.lengths)

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args, **kwargs
    ) -> tuple[Tensor, Tensor]:
        """Store T new tokens of one layer; returns all S + T of them, `[B, H, S + T, D]`."""
        result = super().update(key_states, value_states, layer_idx, *args, **kwargs)
        if layer_idx == len(self.layers) - 1:
            # All layers store a token at the same slot, so the lengths grow after the last one.
            num_new = key_states.shape[-2]
            self.lengths = [length + num_new for length in self.lengths]
        return result

    def roll_back(self, lengths: Sequence[int]) -> None:
        """Each sequence has the given length; longer than now is an error."""
        if any(new > old or new < 0 for new, old in zip(lengths, self.lengths, strict=True)):
            raise ValueError(f"cannot roll back from {self.lengths} to {list(lengths)}")
        self.lengths = list(lengths)

    def keep_rows(self, rows: Sequence[int]) -> None:
        """Row i is the former row `rows[i]`; the others are dropped. `rows[i] >= i` for every i."""
        for layer in self.layers:
            layer.keep_rows(rows, self.max_length)
        self.lengths = [self.lengths[row] for row in rows]

    def positions(self, num_new: int) -> Tensor:
        """Positions of the next `num_new` tokens of each sequence, `[B, T]`."""
        starts = torch.tensor(self.lengths, device=self.device)
        return starts[:, None] + torch.arange(num_new, device=self.device)

    def attention_mask(
        self, num_new: int, config: PreTrainedConfig
    ) -> Tensor | dict[str, Tensor] | None:
        """What to pass as the model's `attention_mask` for `num_new` tokens.

        None when all lengths are equal: the model then makes a causal mask itself. Otherwise
        True where a query may look, `[B, 1, T, S + T]`, for models that mix full and
        sliding-window layers one for each kind.
        """
        if self.is_uniform:
            return None
        slots = torch.arange(self.max_length + num_new, device=self.device)
        queries = self.positions(num_new)[:, None, :, None]
        full = slots <= queries
        window = getattr(config, "sliding_window", None)
        if window is None:
            return full
        sliding = full & (slots > queries - window)
        if getattr(config, "layer_types", None) is None:
            return sliding
        return {"full_attention": full, "sliding_attention": sliding}


class _Layer(CacheLayerMixin):
    """Storage of one decoder layer; allocated by the first tokens, which bring its shape."""

    is_sliding = False
    is_croppable = False

    def __init__(self, cache: KVCache) -> None:
        super().__init__()
        self.cache = cache

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        # Zeros, not empty: a masked slot is multiplied by zero, and zero times NaN is NaN.
        batch_size, num_heads, _, _ = key_states.shape
        shape = (batch_size, num_heads, self.cache.capacity)
        self.keys = key_states.new_zeros((*shape, key_states.shape[-1]))
        self.values = value_states.new_zeros((*shape, value_states.shape[-1]))
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args, **kwargs
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        num_new, start = key_states.shape[-2], self.cache.max_length
        end = start + num_new
        if end > self.cache.capacity:
            raise DecodingError(
                "decode.context_too_long",
                f"{end} tokens do not fit a cache of {self.cache.capacity}.",
            )
        if self.cache.is_uniform:
            self.keys[:, :, start:end] = key_states
            self.values[:, :, start:end] = value_states
        else:
            rows = torch.arange(key_states.shape[0], device=key_states.device)[:, None]
            slots = self.cache.positions(num_new)
            self.keys[rows, :, slots] = key_states.transpose(1, 2)
            self.values[rows, :, slots] = value_states.transpose(1, 2)
        return self.keys[:, :, :end], self.values[:, :, :end]

    def keep_rows(self, rows: Sequence[int], used: int) -> None:
        for storage in (self.keys, self.values):
            for new, old in enumerate(rows):
                if new != old:
                    storage[new, :, :used] = storage[old, :, :used]
        self.keys, self.values = self.keys[: len(rows)], self.values[: len(rows)]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.cache.max_length + query_length, 0

    def get_seq_length(self) -> int:
        return self.cache.max_length

    def get_max_length(self) -> int:
        return self.cache.capacity


class CachedModel:
    """A model and the cache of one batch: tokens in, logits out.

    Args:
        model: The model that computes; V tokens.
        batch_size: Sequences of the batch, the cache's rows.
        capacity: Most tokens of a sequence.
        output_ids: Tokens whose logits are wanted, `[V']` in rising order; None for all V. The
            output layer then has V' rows, and so have the logits.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        batch_size: int,
        capacity: int,
        output_ids: Tensor | None = None,
    ) -> None:
        self.model = model
        self.device = model.device
        self.head = None if output_ids is None else _rows_of(model, output_ids)
        self.cache = KVCache(
            num_layers=model.config.num_hidden_layers,
            batch_size=batch_size,
            capacity=capacity,
            device=model.device,
        )

    def forward(self, input_ids: Tensor, *, num_logits: int) -> Tensor:
        """Append `input_ids` `[B, T]` to the sequences; logits of the last `num_logits` tokens."""
        num_new = input_ids.shape[1]
        with self._head_in_place():
            return self.model(
                input_ids=input_ids,
                position_ids=self.cache.positions(num_new),
                attention_mask=self.cache.attention_mask(num_new, self.model.config),
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=num_logits,
            ).logits

    def prefill(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        """The cache holds the prompts; returns the logits after each of them, `[B, V]`.

        Prompts of different lengths are padded on the right, where a causal mask hides the padding
        from every real token. Their last tokens are then fed in one more step, because they do not
        lie in one column.
        """
        lengths = [len(prompt) for prompt in prompts]
        width = max(lengths)
        padded = torch.tensor(
            [[*prompt, *[0] * (width - len(prompt))] for prompt in prompts], device=self.device
        )
        if min(lengths) == width:
            return self.forward(padded, num_logits=1)[:, -1]
        self.forward(padded[:, :-1], num_logits=1)
        self.cache.roll_back([length - 1 for length in lengths])
        last = torch.tensor([[prompt[-1]] for prompt in prompts], device=self.device)
        return self.forward(last, num_logits=1)[:, -1]

    @contextmanager
    def _head_in_place(self) -> Iterator[None]:
        """Inside, the model's output layer has the rows of `output_ids` alone."""
        if self.head is None:
            yield
            return
        # The layer's call is replaced, not the layer: what a model does to its logits afterwards
        # (scaling, soft caps) stays.
        full = vars(self.model.get_output_embeddings())
        before = full.get("forward")
        full["forward"] = self.head if before is None else partial(small_batch_linear, self.head)
        try:
            yield
        finally:
            if before is None:
                del full["forward"]
            else:
                full["forward"] = before


def _rows_of(model: PreTrainedModel, output_ids: Tensor) -> nn.Linear:
    full = model.get_output_embeddings()
    ids = output_ids.to(full.weight.device)
    with torch.device("meta"):
        head = nn.Linear(full.in_features, len(ids), bias=full.bias is not None)
    head.weight = nn.Parameter(full.weight.detach()[ids], requires_grad=False)
    if full.bias is not None:
        head.bias = nn.Parameter(full.bias.detach()[ids], requires_grad=False)
    return head

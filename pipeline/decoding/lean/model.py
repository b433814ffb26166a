"""A batch of sequences in the kernel: its cache and its forward pass.

The numbers of a sequence are the same, bit for bit, whatever batch it is in, however many tokens
are passed at a time and whatever the capacity is.
"""

import ctypes
import weakref
from collections.abc import Sequence
from ctypes import POINTER, c_float, c_int32, c_int64

import torch
from torch import Tensor
from transformers import PreTrainedModel

from pipeline.decoding.lean import build
from pipeline.decoding.lean.cache import LeanCache
from pipeline.decoding.lean.served import refusal
from pipeline.decoding.lean.structs import PANEL, CacheStruct
from pipeline.decoding.lean.weights import PackedModel, fingerprint
from pipeline.errors import DecodingError

ROWS_AT_A_TIME = 128
"""Rows of one pass of the kernel: their activations stay in the second-level cache."""

_packed: weakref.WeakKeyDictionary[PreTrainedModel, PackedModel] = weakref.WeakKeyDictionary()


class LeanRunner:
    """A batch of a packed model; as `pipeline.decoding.runner.Runner` says.

    Args:
        packed: The model.
        batch_size: Sequences of the batch.
        capacity: Most tokens of a sequence.
        output_ids: Tokens whose logits are wanted, in rising order; None for all.
    """

    def __init__(
        self,
        packed: PackedModel,
        *,
        batch_size: int,
        capacity: int,
        output_ids: Tensor | None = None,
    ) -> None:
        self.device = torch.device("cpu")
        self.cache = LeanCache(batch_size, capacity)
        self._kernel = packed.kernel
        self._model, self._owned = packed.prepare(capacity, output_ids)
        padded = -(-capacity // PANEL) * PANEL
        shape = (packed.num_layers, batch_size, packed.key_heads, padded, packed.head_dim)
        # Not cleared: the kernel reads nothing that it has not written, but for products of a
        # panel's unused slots, which it drops.
        self._keys, self._values = torch.empty(shape), torch.empty(shape)
        self._cache = CacheStruct(
            keys=_floats(self._keys),
            values=_floats(self._values),
            slots=batch_size,
            capacity=padded,
        )
        self._scratch = torch.empty(0)

    def forward(self, input_ids: Tensor, *, num_logits: int) -> Tensor:
        """Append `input_ids` `[B, T]` to the sequences; logits of the last `num_logits` tokens."""
        batch_size, num_new = input_ids.shape
        logits = self._append(
            list(range(batch_size)), input_ids.reshape(-1), [num_new] * batch_size, num_logits
        )
        return logits.view(batch_size, -1, self._model.outputs)

    def prefill(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        """The cache holds the prompts; returns the logits after each of them, `[B, V]`."""
        return self.refill(range(len(prompts)), prompts)

    def refill(self, rows: Sequence[int], prompts: Sequence[Sequence[int]]) -> Tensor:
        """Each of `rows` holds its prompt instead of what it held; logits, `[len(rows), V]`."""
        lengths = list(self.cache.lengths)
        for row in rows:
            lengths[row] = 0
        self.cache.lengths = lengths
        tokens = torch.tensor([token for prompt in prompts for token in prompt])
        return self._append(rows, tokens, [len(prompt) for prompt in prompts], 1)

    def _append(
        self, rows: Sequence[int], tokens: Tensor, counts: Sequence[int], num_logits: int
    ) -> Tensor:
        """`counts[i]` of `tokens` go to `rows[i]`; logits of the last `num_logits` of each."""
        cache = self.cache
        ends = [cache.lengths[row] + count for row, count in zip(rows, counts, strict=True)]
        if max(ends) > cache.capacity:
            raise DecodingError(
                "decode.context_too_long",
                f"{max(ends)} tokens do not fit a cache of {cache.capacity}.",
            )
        slots: list[int] = []
        positions: list[int] = []
        wanted: list[int] = []
        for row, count, end in zip(rows, counts, ends, strict=True):
            slots += [cache.slots[row]] * count
            positions += range(end - count, end)
            wanted += range(len(slots) - min(num_logits, count), len(slots))
        logits = torch.empty(len(wanted), self._model.outputs)
        tokens = tokens.contiguous()
        done = 0
        for start in range(0, len(slots), ROWS_AT_A_TIME):
            end = min(start + ROWS_AT_A_TIME, len(slots))
            here = [row - start for row in wanted if start <= row < end]
            self._pass(
                tokens[start:end], slots[start:end], positions[start:end], here, logits[done:]
            )
            done += len(here)
        lengths = list(cache.lengths)
        for row, end in zip(rows, ends, strict=True):
            lengths[row] = end
        cache.lengths = lengths
        return logits

    def _pass(
        self,
        tokens: Tensor,
        slots: Sequence[int],
        positions: Sequence[int],
        wanted: Sequence[int],
        logits: Tensor,
    ) -> None:
        count, threads = len(slots), torch.get_num_threads()
        size = self._kernel.scratch_size(
            ctypes.byref(self._model),
            c_int64(count),
            c_int64(self._cache.capacity),
            c_int64(threads),
        )
        if self._scratch.numel() < size:
            self._scratch = torch.empty(size)
        status = self._kernel.forward(
            ctypes.byref(self._model),
            ctypes.byref(self._cache),
            c_int64(count),
            ctypes.c_void_p(tokens.data_ptr()),
            (c_int32 * count)(*slots),
            (c_int32 * count)(*positions),
            c_int64(len(wanted)),
            (c_int32 * len(wanted))(*wanted),
            _floats(self._scratch),
            _floats(logits),
            c_int32(threads),
        )
        if status != 0:
            raise IndexError("a token id is outside the model's vocabulary")


def pack_if_served(model: PreTrainedModel) -> PackedModel | None:
    """The packed weights; None where there is no kernel or it does not serve `model`.

    They are kept as long as the model, and packed again when a weight has changed.
    """
    kernel = build.load()
    if kernel is None or refusal(model) is not None:
        return None
    packed = _packed.get(model)
    if packed is None or packed.fingerprint != fingerprint(model):
        _packed[model] = packed = PackedModel(model, kernel)
    return packed


def _floats(tensor: Tensor) -> object:
    return ctypes.cast(tensor.data_ptr(), POINTER(c_float))

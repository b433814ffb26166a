"""Linear layers on a few rows at nearly the price of one, on CPUs in float32.

Verifying g drafted tokens multiplies every weight matrix with g + 1 rows. `F.linear` takes 1.2 to
3.8 times as long for 2 to 8 rows as for one, although both read the same weights. The same product
written as W times the transposed rows takes about as long as one row, as long as the rows are few
and together small enough for the fastest cache. `docs/decoding.md` has the measurements.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

MAX_ROWS = 8
MAX_INPUTS = 4096
"""From this many numbers in all rows together `F.linear` is faster (16 KiB, half an L1 cache)."""


def small_batch_linear(layer: nn.Linear, inputs: Tensor) -> Tensor:
    """`layer(inputs)` for `[..., in_features]`; fast when there are 1 to 8 short rows."""
    num_rows = inputs.numel() // layer.in_features
    if not 1 <= num_rows <= MAX_ROWS or inputs.numel() >= MAX_INPUTS:
        return nn.functional.linear(inputs, layer.weight, layer.bias)
    rows = inputs.reshape(num_rows, layer.in_features)
    if num_rows == 1:
        # One row selects a matrix-vector kernel that uses one core: the same row twice took 16 ms
        # where once took 36 ms. Without this the target alone would be slow and speculation, which
        # always passes two rows or more, would look fast.
        rows = rows.expand(2, -1).contiguous()
    # The transposed rows stay a view: a contiguous copy would select the slow kernel again.
    outputs = torch.mm(layer.weight, rows.t()).t()[:num_rows]
    if layer.bias is not None:
        outputs = outputs + layer.bias
    return outputs.reshape(*inputs.shape[:-1], layer.out_features).contiguous()


@contextmanager
def fast_small_batch_linear(*models: nn.Module) -> Iterator[None]:
    """Inside, linear layers of `models` on a CPU in float32 use `small_batch_linear`.

    Layers elsewhere, of other types or subclasses are left alone; all are restored at the end. For
    inference only: the two orders of summation differ by float32 rounding.
    """
    swapped = [
        layer
        for model in models
        for layer in model.modules()
        if type(layer) is nn.Linear
        and layer.weight.device.type == "cpu"
        and layer.weight.dtype == torch.float32
        and "forward" not in vars(layer)
    ]
    try:
        for layer in swapped:
            layer.forward = partial(small_batch_linear, layer)
        yield
    finally:
        for layer in swapped:
            vars(layer).pop("forward", None)

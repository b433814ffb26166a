"""The kernel's own descriptions of a layer, a model and a cache, field by field as `kernel.cpp`."""

import ctypes
from ctypes import POINTER, c_float, c_int64

PANEL = 16
"""Outputs that are packed together; `kPanel`."""

Pointer = POINTER(c_float)


class LayerStruct(ctypes.Structure):
    """`Layer` of the kernel."""

    _fields_ = [
        *((name, Pointer) for name in ("input_norm", "qkv", "qkv_bias", "query_norm", "key_norm")),
        *((name, Pointer) for name in ("out", "out_bias", "post_norm", "gate_up", "down")),
        ("window", c_int64),
    ]


class ModelStruct(ctypes.Structure):
    """`Model` of the kernel."""

    _fields_ = [
        ("layers", POINTER(LayerStruct)),
        *((name, Pointer) for name in ("embedding", "tied_embedding", "norm", "head")),
        *((name, Pointer) for name in ("cosines", "sines")),
        *((name, c_int64) for name in ("num_layers", "hidden", "heads", "key_heads", "head_dim")),
        *((name, c_int64) for name in ("inner", "vocabulary", "outputs")),
        ("epsilon", c_float),
        ("scale", c_float),
    ]


class CacheStruct(ctypes.Structure):
    """`Cache` of the kernel."""

    _fields_ = [
        ("keys", Pointer),
        ("values", Pointer),
        ("slots", c_int64),
        ("capacity", c_int64),
    ]

"""Which engine decodes: vLLM where a GPU and the package are present, our own elsewhere."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from pipeline.contracts.fields import EngineName
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import Engine
from pipeline.modeling.loading import load_model


def choose_engine(requested: EngineName, device: str) -> EngineName:
    """`torch` or `vllm`; `auto` takes vLLM on a GPU that has it."""
    if requested != "auto":
        return requested
    has_vllm = importlib.util.find_spec("vllm") is not None
    return "vllm" if device == "cuda" and has_vllm else "torch"


@contextmanager
def open_engine(
    requested: EngineName, model_path: Path, *, device: str, dtype: str, max_logprobs: int = 0
) -> Iterator[Engine]:
    """An autoregressive engine for the checkpoint, closed (memory returned) at the end.

    Raises:
        ModelError: the checkpoint cannot be loaded.
        DecodingError: `decode.engine_unavailable` when vLLM is asked for and not installed.
    """
    if choose_engine(requested, device) == "vllm":
        from pipeline.decoding.vllm_engine import VllmEngine

        engine = VllmEngine(model_path, dtype=dtype, max_logprobs=max_logprobs)
        try:
            yield engine
        finally:
            engine.close()
    else:
        model = load_model(model_path, dtype=getattr(torch, dtype), device=device)
        yield AutoregressiveEngine(model)

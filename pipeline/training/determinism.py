"""What makes a training step the same bits whenever it is taken again on a CPU."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def step_seed(seed: int, phase: str, step: int) -> int:
    """Seeds the random numbers of one optimizer step, so that none need to be saved."""
    name = f"{seed}/{phase}/{step}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") >> 1


@contextmanager
def deterministic_on_cpu(device: torch.device) -> Iterator[None]:
    """Operators refuse to be non-deterministic; without the costly filling of fresh memory.

    CUDA is left alone: its deterministic attention and index kernels cost speed, and bit-equality
    is promised for CPU only.
    """
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
    )
    if device.type == "cpu":
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.utils.deterministic.fill_uninitialized_memory = before[1]

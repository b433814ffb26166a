"""Where a run computes: one policy for training, decoding and measuring."""

from typing import Literal

import torch

from pipeline.errors import SpecError


def choose_device(requested: Literal["auto", "cpu", "cuda"]) -> Literal["cpu", "cuda"]:
    """The device to compute on; `auto` takes the GPU where there is one.

    Raises:
        SpecError: `spec.device_unavailable` when CUDA is asked for and torch finds none.
    """
    has_cuda = torch.cuda.is_available()
    if requested == "cuda" and not has_cuda:
        raise SpecError(
            "spec.device_unavailable",
            "device: cuda is asked for and torch finds no NVIDIA GPU here; use auto or cpu, or run "
            "it on a machine with a GPU and a CUDA build of torch",
        )
    return "cuda" if has_cuda and requested != "cpu" else "cpu"

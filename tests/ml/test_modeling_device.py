"""One device policy for everything that computes."""

import pytest
import torch

from pipeline.errors import SpecError
from pipeline.modeling.device import choose_device


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [choose_device(name) for name in ("auto", "cpu", "cuda")] == ["cuda", "cpu", "cuda"]


def test_cuda_without_a_gpu_is_refused_with_what_to_do(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert [choose_device(name) for name in ("auto", "cpu")] == ["cpu", "cpu"]
    with pytest.raises(SpecError, match="use auto or cpu") as caught:
        choose_device("cuda")
    assert caught.value.code == "spec.device_unavailable"

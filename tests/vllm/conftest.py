"""Checkpoints and engines of the vLLM tests; an engine starts once, which takes 20 s on 2 cores."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from pipeline.contracts.decoding_spec import DraftModelArm
from pipeline.contracts.references import Reference
from pipeline.decoding.vllm_engine import VllmEngine
from pipeline.modeling.tiny import tiny_llama, tiny_tokenizer

NUM_SPECULATIVE_TOKENS = 3
MAX_LOGPROBS = 8


def save(model: LlamaForCausalLM, directory: Path) -> Path:
    model.save_pretrained(directory)
    tiny_tokenizer().save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def target() -> LlamaForCausalLM:
    # vLLM's CPU attention has no kernel for heads narrower than 32.
    return tiny_llama(hidden_size=128)


@pytest.fixture(scope="session")
def target_path(target: LlamaForCausalLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(target, tmp_path_factory.mktemp("target"))


@pytest.fixture(scope="session")
def draft_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The target with noise on its weights: right often enough, and wrong often enough."""
    draft = tiny_llama(hidden_size=128)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in draft.parameters():
            parameter += 0.006 * torch.randn(parameter.shape, generator=generator)
    return save(draft, tmp_path_factory.mktemp("draft"))


@pytest.fixture(scope="session")
def engine(target_path: Path) -> Iterator[VllmEngine]:
    environment = dict(os.environ)
    engine = VllmEngine(target_path, dtype="float32", max_logprobs=MAX_LOGPROBS)
    assert dict(os.environ) == environment
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def speculative_engine(target_path: Path, draft_path: Path) -> Iterator[VllmEngine]:
    engine = VllmEngine(
        target_path,
        arm=DraftModelArm(name="draft", model=Reference(path=str(draft_path))),
        num_speculative_tokens=NUM_SPECULATIVE_TOKENS,
        dtype="float32",
        max_logprobs=MAX_LOGPROBS,
    )
    yield engine
    engine.close()

"""On the kernel, greedy speculation is bit-equal to plain decoding in float32."""

import random

import pytest
import torch

from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.lean.served import refusal
from pipeline.decoding.proposers.draft_model import DraftModelProposer
from pipeline.decoding.proposers.ngram import NGramProposer
from pipeline.decoding.speculative import SpeculativeEngine
from tests.ml.lean_models import VOCAB_SIZE, lean_model, require_kernel

PARAMS = SamplingParams(max_new_tokens=14, num_logprobs=VOCAB_SIZE)
"""Every log-probability is recorded: answers are equal only if all their logits are."""


@pytest.fixture(scope="module", autouse=True)
def kernel():
    require_kernel()


@pytest.fixture(scope="module")
def target():
    model = lean_model("qwen3")
    assert refusal(model) is None
    return model


@pytest.fixture(scope="module")
def similar(target):
    """A draft that agrees with the target often: its weights plus noise."""
    draft = lean_model("qwen3")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in draft.parameters():
            weight += 0.05 * weight.std() * torch.randn(weight.shape, generator=generator)
    return draft


@pytest.fixture(scope="module")
def prompts():
    source = random.Random(8)
    plain = [
        [source.randrange(VOCAB_SIZE) for _ in range(source.randint(1, 24))] for _ in range(100)
    ]
    return [*plain, *((prompt * 3)[:40] for prompt in plain)]


@pytest.fixture(scope="module")
def expected(target, prompts):
    completions = AutoregressiveEngine(target, max_batch_size=1).generate(prompts, PARAMS)
    return [(one.token_ids, one.logprobs) for one in completions]


@pytest.mark.parametrize("max_batch_size", [1, 8])
@pytest.mark.parametrize(
    "length",
    [
        *(3, pytest.param(8, marks=pytest.mark.slow)),
        *(
            pytest.param(g, marks=(pytest.mark.slow, pytest.mark.recipes))
            for g in (1, 2, 4, 5, 6, 7)
        ),
    ],
)
@pytest.mark.parametrize("kind", ["similar", "ngram"])
def test_tokens_and_logits_are_those_of_plain_decoding(
    target, similar, prompts, expected, kind, length, max_batch_size
):
    proposer = DraftModelProposer(similar) if kind == "similar" else NGramProposer()
    engine = SpeculativeEngine(
        target, proposer, num_speculative_tokens=length, max_batch_size=max_batch_size
    )
    completions = engine.generate(prompts, PARAMS)
    assert [(one.token_ids, one.logprobs) for one in completions] == expected
    accepted = sum(one.speculation.num_accepted_tokens for one in completions)
    assert accepted > 100  # or nothing was tested

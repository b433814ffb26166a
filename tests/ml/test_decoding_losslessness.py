"""The gate passes what rounding explains and nothing else."""

import random

import pytest
import torch

from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import Completion, SamplingParams
from pipeline.decoding.losslessness import (
    NEAR_TIE,
    check_greedy_losslessness,
    in_float64,
    near_tie,
)
from pipeline.decoding.proposers.draft_model import DraftModelProposer
from pipeline.decoding.proposers.ngram import NGramProposer
from pipeline.decoding.speculative import SpeculativeEngine
from pipeline.evaluation.decoding_figures import Measurement
from pipeline.evaluation.decoding_gate import judge_losslessness
from pipeline.modeling.tiny import tiny_llama


def random_prompts(count):
    source = random.Random(3)
    return [[source.randrange(259) for _ in range(source.randint(2, 20))] for _ in range(count)]


@pytest.fixture(scope="module")
def target():
    return tiny_llama()


@pytest.fixture(scope="module")
def prompts():
    return random_prompts(20)


@pytest.fixture(scope="module")
def reference(target, prompts):
    engine = AutoregressiveEngine(target, max_batch_size=1)
    completions = engine.generate(prompts, SamplingParams(max_new_tokens=16))
    return [completion.token_ids for completion in completions]


@pytest.mark.slow
def test_speculation_in_float32_passes_beside_batched_decoding(target, prompts, reference):
    params = SamplingParams(max_new_tokens=16)
    speculative = SpeculativeEngine(
        target, DraftModelProposer(tiny_llama(seed=1)), num_speculative_tokens=4
    )
    batched = AutoregressiveEngine(target, max_batch_size=8)
    for engine in (speculative, batched):
        answers = [completion.token_ids for completion in engine.generate(prompts, params)]
        result = check_greedy_losslessness(target, prompts, reference, answers)
        assert result.is_lossless
        assert result.num_prompts == 20
        assert result.num_identical + result.num_near_ties == 20


@pytest.mark.slow
def test_one_wrong_token_fails(target, prompts, reference):
    answers = list(reference)
    answers[4] = (*answers[4][:7], (answers[4][7] + 1) % 259, *answers[4][8:])
    result = check_greedy_losslessness(target, prompts, reference, answers)
    assert not result.is_lossless
    assert (result.num_identical, result.num_near_ties) == (19, 0)
    assert result.largest_gap > NEAR_TIE


def test_a_missing_end_fails(target, prompts, reference):
    result = check_greedy_losslessness(
        target, prompts, reference, [reference[0][:-1], *reference[1:]]
    )
    assert not result.is_lossless
    assert (result.num_identical, result.num_near_ties) == (19, 0)
    assert result.largest_gap is None  # no swap of two logits explains it


def twin_tokens(gap):
    """A target in which token 41 scores nearly what token 40 does, and the two win once."""
    target = tiny_llama()
    prompt = [9, 8, 7]
    first = AutoregressiveEngine(target).generate([prompt], SamplingParams(max_new_tokens=1))
    winner = first[0].token_ids[0]
    twin = (winner + 1) % 259
    with torch.no_grad():
        embeddings = target.model.embed_tokens.weight
        embeddings[twin] = embeddings[winner] * (1 - gap)
    return target, prompt, winner, twin


@pytest.mark.parametrize(("gap", "is_near_tie"), [(1e-6, True), (1e-2, False)])
def test_only_a_near_tie_excuses_a_difference(gap, is_near_tie):
    target, prompt, winner, twin = twin_tokens(gap)
    result = check_greedy_losslessness(target, [prompt], [(winner, 5)], [(twin, 6)])
    assert result.is_lossless is is_near_tie
    assert result.num_near_ties == int(is_near_tie)
    assert result.num_identical == 0


def test_two_equally_bad_tokens_are_no_near_tie():
    target, prompt, winner, twin = twin_tokens(1e-6)
    with torch.no_grad():
        target.model.embed_tokens.weight[[winner, twin]] = 0
    result = check_greedy_losslessness(target, [prompt], [(winner,)], [(twin,)])
    assert not result.is_lossless


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["draft", "ngram"])
def test_float64_answers_are_identical_and_the_models_are_given_back(target, prompts, kind):
    draft = tiny_llama(seed=1)
    proposer = DraftModelProposer(draft) if kind == "draft" else NGramProposer()
    engine = SpeculativeEngine(target, proposer, num_speculative_tokens=3)
    before = [parameter.clone() for parameter in (*target.parameters(), *draft.parameters())]
    params = SamplingParams(max_new_tokens=10)
    with in_float64(target, draft):
        alone = AutoregressiveEngine(target, max_batch_size=1).generate(prompts, params)
        drafted = engine.generate(prompts, params)
    assert [one.token_ids for one in drafted] == [one.token_ids for one in alone]
    after = (*target.parameters(), *draft.parameters())
    assert all(map(torch.equal, before, after))
    assert {tensor.dtype for tensor in after} == {torch.float32}


def test_rotary_frequencies_keep_their_precision():
    model = tiny_llama(dtype=torch.float32)
    model.to(torch.bfloat16)
    model.model.rotary_emb.inv_freq = model.model.rotary_emb.inv_freq.float()
    with in_float64(model):
        assert model.dtype == torch.float64
    assert model.dtype == torch.bfloat16
    assert model.model.rotary_emb.inv_freq.dtype == torch.float32
    assert model.lm_head.weight is model.model.embed_tokens.weight


@pytest.mark.parametrize(
    ("dtype", "best", "bound"),
    [
        (torch.float32, 20.0, 1e-4),
        (torch.float64, 20.0, 1e-4),
        (torch.bfloat16, 20.0, 0.25),  # 20 + 0.125 is the next number
        (torch.bfloat16, -20.0, 0.25),
        (torch.bfloat16, 1.0, 2 * 2**-7),
    ],
)
def test_what_a_near_tie_is_follows_from_the_number_format(dtype, best, bound):
    assert near_tie(dtype, best) == bound
    if dtype == torch.bfloat16:
        step = torch.nextafter(torch.tensor(best, dtype=dtype), torch.tensor(best * 2, dtype=dtype))
        assert abs(step.item() - best) == bound / 2


@pytest.mark.parametrize("num_ties_of_plain_decoding", [0, 1])
def test_in_bfloat16_near_ties_are_no_more_frequent_than_at_another_batch(
    num_ties_of_plain_decoding,
):
    target, prompt, winner, twin = twin_tokens(1e-6)
    target.bfloat16()
    plain, other = (
        Completion(
            token_ids=(token,), finish_reason="length", prefill_seconds=0.1, decode_seconds=0.1
        )
        for token in (winner, twin)
    )
    measured = {
        name: Measurement(completions=[[one]])
        for name, one in {"autoregressive": plain, "arm": other}.items()
    }
    batched = [other if num_ties_of_plain_decoding else plain]
    found = judge_losslessness(target, [prompt], measured, batched)
    assert found.arms["arm"].num_near_ties == 1
    assert found.is_lossless is found.arms["arm"].is_lossless is bool(num_ties_of_plain_decoding)

"""Sampled answers are found to follow the target where they do, and not where they do not."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from pipeline.contracts.sampling_test import SamplingTestNotRun
from pipeline.decoding import goodness_of_fit, speculative
from pipeline.decoding.answer_store import AnswerStore
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.goodness_of_fit import LEVEL, NUM_CELLS, NUM_TOKENS, draw, judge
from pipeline.decoding.proposers.combined import CombinedProposer
from pipeline.decoding.proposers.draft_model import DraftModelProposer
from pipeline.decoding.proposers.ngram import NGramProposer
from pipeline.decoding.proposers.store import StoreProposer
from pipeline.decoding.sampling import sample, verify_sampled
from pipeline.decoding.speculative import SpeculativeEngine
from pipeline.decoding.token_places import token_places
from pipeline.errors import DecodingError
from pipeline.metrics.uniformity import chi_square_of_uniform
from pipeline.modeling.tiny import tiny_llama

VOCAB = 16
PARAMS = SamplingParams(max_new_tokens=17, seed=5)
ARMS = ("draft_model", "ngram", "store", "combined")


def texts(count, length):
    source = random.Random(1)
    return [tuple(source.randrange(VOCAB) for _ in range(length)) for _ in range(count)]


PROMPTS = texts(5, 12)


@pytest.fixture(scope="module")
def target():
    return tiny_llama(vocab_size=VOCAB, hidden_size=32)


@pytest.fixture(scope="module")
def proposers():
    draft = DraftModelProposer(tiny_llama(vocab_size=VOCAB, hidden_size=16, num_layers=1, seed=4))
    store = AnswerStore(texts(20, 40), min_match=1)
    lookup = NGramProposer(min_ngram=2)
    return {
        "draft_model": draft,
        "ngram": NGramProposer(),
        "store": StoreProposer(store),
        "combined": CombinedProposer(
            lookup, store, draft, max_lookup_tokens=2, max_draft_tokens=2
        ),
    }  # fmt: skip


def outcome(target, proposer, params):
    engine = SpeculativeEngine(target, proposer, num_speculative_tokens=2, max_batch_size=8)
    return judge(target, proposer, draw(engine, PROMPTS, params))


def accept_all(p, q, drafted, num_drafted, generator):
    """Every draft stands."""
    rows = torch.arange(len(drafted))
    return num_drafted.clone(), sample(p[rows, num_drafted], generator)


def forget_residual(p, q, drafted, num_drafted, generator):
    """After a refusal from p, not from what p has more than q."""
    accepted, _ = verify_sampled(p, q, drafted, num_drafted, generator)
    return accepted, sample(p[torch.arange(len(drafted)), accepted], generator)


@pytest.mark.parametrize("arm", ARMS)
def test_a_right_engine_is_consistent(target, proposers, arm):
    found = outcome(target, proposers[arm], PARAMS)
    assert (found.verdict, found.num_tokens, found.num_answers) == ("consistent", NUM_TOKENS, 32)
    assert 0 < found.num_accepted_tokens < found.num_draft_tokens
    assert (found.level, found.temperature, found.num_cells) == (LEVEL, 1.0, NUM_CELLS)


@pytest.mark.parametrize("arm", ARMS)
def test_an_engine_that_accepts_every_draft_is_not(target, proposers, arm, monkeypatch):
    monkeypatch.setattr(speculative, "verify_sampled", accept_all)
    found = outcome(target, proposers[arm], PARAMS)
    assert (found.verdict, found.p_value < 1e-20) == ("inconsistent", True)


def test_nor_is_one_that_forgets_the_residual(target, proposers, monkeypatch):
    monkeypatch.setattr(speculative, "verify_sampled", forget_residual)
    seeds = [replace(PARAMS, seed=seed) for seed in range(3)]
    found = [outcome(target, proposers["draft_model"], params) for params in seeds]
    assert "inconsistent" in {one.verdict for one in found}


def test_nor_one_whose_temperature_is_another(target, proposers, monkeypatch):
    """Seen without the draft as well: the target's own order suffices."""
    monkeypatch.setattr(
        speculative,
        "probabilities",
        lambda logits, params: (logits / 0.6).softmax(-1),
    )
    engine = SpeculativeEngine(target, proposers["ngram"], num_speculative_tokens=2)
    assert judge(target, None, draw(engine, PROMPTS, PARAMS)).verdict == "inconsistent"


def test_a_place_is_what_stands_before_the_token_and_a_share_of_it(target):
    """By hand: p of all tokens that p and q put before it."""
    prompt, answer = PROMPTS[0], (3, 7)
    with torch.inference_mode():
        ids = torch.tensor([[*prompt, 3]])
        p = target(ids).logits[0, -1].double().softmax(-1).numpy()
    params = replace(PARAMS, temperature=1.0)
    share = np.random.default_rng(0).random()
    place = token_places(target, None, prompt, answer, params, np.random.default_rng(0))
    assert place == pytest.approx([p[p > p[7]].sum() + share * p[7]], abs=1e-6)
    proposer = NGramProposer(max_ngram=1)
    looked_up = prompt[len(prompt) - prompt[::-1].index(3)] if 3 in prompt else None
    assert looked_up not in (None, 7)
    place = token_places(target, proposer, prompt, answer, params, np.random.default_rng(0))
    before = (p > p[7]) | (np.arange(VOCAB) == looked_up)
    assert place == pytest.approx([p[before].sum() + share * p[7]], abs=1e-6)


def test_what_cannot_be_tested_says_why(target, proposers):
    found = outcome(target, proposers["ngram"], replace(PARAMS, max_new_tokens=1))
    assert (found.verdict, "one token" in found.reason) == ("not_run", True)
    silent = outcome(target, StoreProposer(AnswerStore([(1, 2)], min_match=2)), PARAMS)
    assert (silent.verdict, "drafted nothing" in silent.reason) == ("not_run", True)

    class Greedy(AutoregressiveEngine):
        def generate(self, prompts, params):
            raise DecodingError("decode.unsupported_option", "no temperature here")

    refused = draw(Greedy(target), PROMPTS, PARAMS)
    assert isinstance(refused, SamplingTestNotRun)
    assert judge(target, None, refused).reason == "no temperature here"


def test_an_engine_that_dies_is_not_one_that_refuses(target):
    class Dying(AutoregressiveEngine):
        def generate(self, prompts, params):
            raise DecodingError("decode.engine_failed", "gone")

    with pytest.raises(DecodingError, match="gone"):
        draw(Dying(target), PROMPTS, PARAMS)


def test_chi_square_is_scipys_and_its_level_holds():
    chance = np.random.default_rng(7)
    values = chance.random(NUM_TOKENS) ** 1.1
    counts = np.histogram(values, bins=NUM_CELLS, range=(0, 1))[0]
    assert chi_square_of_uniform(values, NUM_CELLS) == pytest.approx(stats.chisquare(counts))
    draws = chance.random((20_000, goodness_of_fit.NUM_TOKENS))
    alarms = sum(chi_square_of_uniform(row, NUM_CELLS)[1] < LEVEL for row in draws)
    assert 8 <= alarms <= 35  # 20 expected; outside once in a thousand


@pytest.mark.parametrize(("values", "cells"), [([0.5] * 9, 2), ([0.5] * 9, 1), ([1.0] * 10, 2)])
def test_what_chi_square_cannot_judge_is_refused(values, cells):
    with pytest.raises(ValueError, match=r"judged|outside"):
        chi_square_of_uniform(np.array(values), cells)

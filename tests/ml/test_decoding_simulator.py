"""The simulator knows beforehand what the engine will do."""

import math
import random

import numpy as np
import pytest
import torch

from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.proposers.draft_model import DraftModelProposer
from pipeline.decoding.sampling import probabilities
from pipeline.decoding.simulator import simulate_rounds
from pipeline.decoding.speculative import SpeculativeEngine
from pipeline.metrics.acceptance import block_efficiency
from pipeline.metrics.speculation import expected_tokens_per_round
from pipeline.modeling.tiny import tiny_llama

VOCAB = 32
NEW_TOKENS = 24


@pytest.fixture(scope="module")
def target():
    return tiny_llama(vocab_size=VOCAB, hidden_size=32, num_layers=1)


@pytest.fixture(scope="module")
def draft(target):
    draft = tiny_llama(vocab_size=VOCAB, hidden_size=32, num_layers=1)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in draft.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter += 0.3 * parameter.std() * noise
    return draft


def random_prompts(count):
    source = random.Random(0)
    return [[source.randrange(VOCAB) for _ in range(12)] for _ in range(count)]


def logprobs_of(model, prompts, answers, params):
    """Log-probability of each token of each answer after its first, `[answers, tokens - 1]`."""
    ids = torch.tensor(
        [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
    )
    with torch.inference_mode():
        logits = model(ids).logits[:, len(prompts[0]) : -1].double()
    probs = probabilities(logits, params)
    return probs.gather(-1, torch.tensor(answers)[:, 1:, None]).squeeze(-1).log().numpy()


def test_rounds_by_hand():
    flags = np.array([1, 1, 0, 1, 1, 1, 1, 1], dtype=bool)
    two = simulate_rounds([flags], num_speculative_tokens=2)
    # [1 1 | own 0] [1 1 | own 1] [draft 1, own 1]: the last round drafts only what is left.
    assert (two.num_target_steps, two.num_drafts, two.num_draft_tokens) == (3, 3, 5)
    assert two.accepted_per_position == (3, 2)
    assert two.block_efficiency == pytest.approx(8 / 3)
    assert two.survival == (1.0, pytest.approx(2 / 3))
    one = simulate_rounds([flags[:1]], num_speculative_tokens=4)
    assert (one.num_target_steps, one.num_drafts) == (1, 0)


def test_block_efficiency_of_independent_acceptance_is_the_formula():
    generator = np.random.default_rng(0)
    flags = [generator.random(200_000) < 0.7]
    for g in (1, 3, 6):
        survival = [0.7**i for i in range(1, g + 1)]
        simulated = simulate_rounds(flags, num_speculative_tokens=g).block_efficiency
        assert simulated == pytest.approx(expected_tokens_per_round(survival, g), rel=0.01)


@pytest.mark.parametrize(
    "num_speculative_tokens",
    [3, *(pytest.param(length, marks=pytest.mark.slow) for length in (1, 2, 4, 5, 6))],
)
def test_greedy_engine_takes_exactly_the_simulated_rounds(target, draft, num_speculative_tokens):
    prompts, params = random_prompts(12), SamplingParams(max_new_tokens=NEW_TOKENS)
    engine = SpeculativeEngine(
        target, DraftModelProposer(draft), num_speculative_tokens=num_speculative_tokens
    )
    completions = engine.generate(prompts, params)
    answers = [completion.token_ids for completion in completions]
    agreement = logprobs_of(draft, prompts, answers, params) == 0
    num_accepted = 0
    for completion, agrees in zip(completions, agreement, strict=True):
        rounds = simulate_rounds([agrees], num_speculative_tokens=num_speculative_tokens)
        stats = completion.speculation
        assert stats.num_target_steps == rounds.num_target_steps
        assert stats.num_drafts == rounds.num_drafts
        assert stats.num_draft_tokens == rounds.num_draft_tokens
        assert stats.accepted_per_position == rounds.accepted_per_position
        num_accepted += stats.num_accepted_tokens
    assert num_accepted > 20


def block_efficiency_interval(chances, *, num_speculative_tokens, num_answers, num_draws, seed):
    """Where the block efficiency of a run over `num_answers` answers falls with probability 99%.

    Answers are drawn with replacement and their flags afresh, so the interval has the chance of
    both: which answers come up and which drafts are accepted.
    """
    generator = np.random.default_rng(seed)
    efficiencies = []
    for _ in range(num_draws):
        chosen = generator.integers(0, len(chances), size=num_answers)
        flags = [generator.random(len(chances[index])) < chances[index] for index in chosen]
        rounds = simulate_rounds(flags, num_speculative_tokens=num_speculative_tokens)
        efficiencies.append(rounds.block_efficiency)
    low, high = np.quantile(efficiencies, [0.005, 0.995])
    # One step outwards: interpolated quantiles of equal values may differ from them by rounding.
    return math.nextafter(low, -math.inf), math.nextafter(high, math.inf)


NUM_SCORED, NUM_MEASURED = 1600, 400


@pytest.fixture(scope="module")
def sampled(target):
    """Prompts and the target's own sampled answers to them: what the simulator works from."""
    params = SamplingParams(max_new_tokens=NEW_TOKENS, temperature=0.8, top_p=0.95, seed=5)
    prompts = random_prompts(NUM_SCORED)
    engine = AutoregressiveEngine(target, max_batch_size=NUM_SCORED)
    answers = [completion.token_ids for completion in engine.generate(prompts, params)]
    return prompts, answers, params


@pytest.mark.slow
@pytest.mark.parametrize("num_speculative_tokens", [1, 4])
def test_sampled_acceptance_lies_in_the_simulators_interval(
    target, draft, sampled, num_speculative_tokens
):
    """The acceptance identity: wrong caches, temperatures or residuals move it out."""
    prompts, answers, params = sampled
    of_target, of_draft = (
        logprobs_of(model, prompts, answers, params) for model in (target, draft)
    )
    chances = np.exp(np.minimum(0.0, of_draft - of_target))  # min(1, q / p)
    low, high = block_efficiency_interval(
        chances,
        num_speculative_tokens=num_speculative_tokens,
        num_answers=NUM_MEASURED,
        num_draws=200,
        seed=1,
    )
    assert 1.05 < low < high < 1.15 * low

    def measure(model):
        engine = SpeculativeEngine(
            target,
            DraftModelProposer(model),
            num_speculative_tokens=num_speculative_tokens,
            max_batch_size=NUM_MEASURED,
        )
        completions = engine.generate(prompts[:NUM_MEASURED], params)
        return block_efficiency(
            sum(len(one.token_ids) for one in completions),
            len(completions),
            sum(one.speculation.num_target_steps for one in completions),
        )

    assert low <= measure(draft) <= high
    # Another draft than the one scored falls outside: the interval is narrow enough to tell.
    assert not low <= measure(target) <= high

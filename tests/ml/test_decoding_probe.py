"""What is predicted of an arm: rounds as the engine takes them, costs as they were timed."""

import json
import math
import random

import numpy as np
import pytest
import torch

from pipeline.contracts.decoding_results import DecodingCosts
from pipeline.contracts.decoding_spec import NGramArm
from pipeline.decoding.answer_store import AnswerStore
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.proposers.combined import CombinedProposer
from pipeline.decoding.proposers.draft_model import DraftModelProposer
from pipeline.decoding.proposers.ngram import NGramProposer
from pipeline.decoding.round_costs import RoundCosts
from pipeline.decoding.rounds import Round, RoundKind, RoundTimer, TimedRound
from pipeline.decoding.speculative import SpeculativeEngine
from pipeline.evaluation.decoding_benchmark import probe_arms, write_predictions
from pipeline.evaluation.decoding_probe import greedy_rounds, predict, sampled_rounds
from pipeline.execution import RunContext
from pipeline.metrics.prediction import predicted_speedup_interval
from pipeline.modeling.tiny import tiny_llama

VOCAB = 24
PARAMS = SamplingParams(max_new_tokens=24, stop_token_ids=(5,))


@pytest.fixture(scope="module")
def target():
    return tiny_llama(dtype=torch.float64, vocab_size=VOCAB, hidden_size=32, num_layers=1)


@pytest.fixture(scope="module")
def draft():
    draft = tiny_llama(dtype=torch.float64, vocab_size=VOCAB, hidden_size=32, num_layers=1)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in draft.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter += 0.2 * parameter.std() * noise
    return draft


@pytest.fixture(scope="module")
def prompts():
    source = random.Random(2)
    return [tuple(source.randrange(VOCAB) for _ in range(9)) for _ in range(4)]


@pytest.fixture(scope="module")
def answers(target, prompts):
    completions = AutoregressiveEngine(target).generate(prompts, PARAMS)
    return dict(zip(prompts, (one.token_ids for one in completions), strict=True))


def proposer_of(kind, draft):
    drafter = DraftModelProposer(draft)
    store = AnswerStore([[1, 2, 3, 4], [7, 8, 9]], min_match=2)
    return {
        "draft": drafter,
        "ngram": NGramProposer(min_ngram=2),
        "combined": CombinedProposer(
            NGramProposer(min_ngram=2), store, drafter, max_lookup_tokens=4, max_draft_tokens=2
        ),
    }[kind]


@pytest.mark.parametrize("kind", ["draft", "ngram", "combined"])
def test_walked_rounds_are_the_engines(target, draft, prompts, answers, kind) -> None:
    proposer = proposer_of(kind, draft)
    lengths = (1, 3, 6)
    walked = greedy_rounds(target, proposer, answers, PARAMS, lengths)
    for length in lengths:
        engine = SpeculativeEngine(target, proposer, num_speculative_tokens=length)
        for prompt, rounds in zip(prompts, walked[length], strict=True):
            (completion,) = engine.generate([prompt], PARAMS)
            stats = completion.speculation
            assert completion.token_ids == answers[prompt]
            assert sum(one.num_tokens for one in rounds) == len(completion.token_ids) - 1
            assert len(rounds) == stats.num_target_steps
            assert sum(one.kind.num_drafted for one in rounds) == stats.num_draft_tokens
            assert sum(one.kind.num_drafted > 0 for one in rounds) == stats.num_drafts
    if kind == "combined":
        kinds = {one.kind.num_model_steps > 0 for rounds in walked[3] for one in rounds}
        assert kinds == {True, False}


def test_timing_changes_no_answer_and_sees_every_round(target, draft, prompts, answers) -> None:
    prompt = max(prompts, key=lambda one: len(answers[one]))
    timer = RoundTimer(DraftModelProposer(draft), target, [1, 4])
    engine = SpeculativeEngine(target, timer, num_speculative_tokens=4)
    (completion,) = engine.generate([prompt], PARAMS)
    assert completion.token_ids == answers[prompt]
    assert [one.num_asked for one in timer.timed] == [1, 4] * (len(timer.timed) // 2) + [1] * (
        len(timer.timed) % 2
    )
    assert len(timer.timed) >= completion.speculation.num_drafts - 1
    for one in timer.timed:
        assert one.cost > 0
        assert one.kind.num_model_steps == one.kind.num_drafted <= one.num_asked
        assert 1 <= one.num_tokens <= one.kind.num_drafted + 1
    by_length = sampled_rounds([timer.timed], [1, 4])
    assert len(by_length[1][0]) + len(by_length[4][0]) == len(timer.timed)


def costs(**changes):
    values = {"c": 0.1, "v": (1.0, 1.1, 1.2, 1.3), "h": 0.0, "target_step_seconds": 0.01}
    return DecodingCosts(**values | changes)


def timed(kind, cost, number, *, num_asked=2, num_tokens=2):
    one = TimedRound(kind=RoundKind(*kind), num_asked=num_asked, num_tokens=num_tokens, cost=cost)
    return [one] * number


def test_a_round_costs_what_such_rounds_took_and_h_is_never_clipped() -> None:
    rounds = timed((2, 2), 1.3, 5) + timed((0, 3), 1.7, 2)
    found = RoundCosts(costs(), rounds)
    assert found.of(RoundKind(2, 2)) == 1.3
    # Beyond their parts the rounds took -0.1 five times and 0.4 twice.
    assert found.h == pytest.approx(-0.1)
    # Too few of them, and none: their parts, times what most rounds took of theirs.
    assert found.of(RoundKind(0, 3)) == pytest.approx(1.3 * 1.3 / 1.4)
    assert found.of(RoundKind(1, 1)) == pytest.approx(1.2 * 1.3 / 1.4)
    assert RoundCosts(costs(), []).of(RoundKind(1, 1)) == pytest.approx(1.2)
    spread = found.spread()
    assert [(one.num_model_steps, one.num_drafted, one.num_rounds) for one in spread] == [
        (0, 3, 2),
        (2, 2, 5),
    ]


def test_a_prediction_by_hand() -> None:
    """Two tokens a round for 1.6 steps; one token a round at the other length."""
    two = [Round(kind=RoundKind(2, 2), num_tokens=tokens) for tokens in (3, 1)]
    one = [Round(kind=RoundKind(1, 1), num_tokens=1)]
    rounds = timed((2, 2), 1.6, 8) + timed((1, 1), 1.25, 8, num_asked=1)
    probed = predict(costs(), rounds, {1: [one] * 3, 2: [two] * 3}, num_timed=4, seed=0)
    found = probed.prediction
    assert probed.num_speculative_tokens == 2
    assert found.speedup.value == pytest.approx(2 / 1.6)
    assert found.speedup_by_length == pytest.approx({"1": 0.8, "2": 1.25})
    assert found.verdict == "pays"
    assert (found.tokens_per_round, found.round_cost) == pytest.approx((2.0, 1.6))
    assert probed.costs.h == pytest.approx(1.6 - 0.2 - 1.2)
    assert probed.survival == (0.5, 0.5)
    # Without waste: two steps for three tokens, then a round without a draft.
    assert found.oracle_bound == pytest.approx(4 / (1.6 + 1.6 / 1.4))
    assert found.needed_c == pytest.approx(0.1 + 0.4 / 2)


def test_no_cost_is_negative_however_busy_the_machine_was() -> None:
    """Parts timed in a bad moment, rounds in a good one."""
    slow_parts = costs(c=2.5, v=(1.0, 2.5, 2.5, 2.5))
    found = RoundCosts(slow_parts, timed((2, 2), 3.0, 9))
    assert found.h == pytest.approx(3.0 - 7.5)
    rng = np.random.default_rng(0)
    for kind in (RoundKind(0, 0), RoundKind(1, 1), RoundKind(2, 2)):
        assert found.of(kind) > 0
        assert (found.draws(kind, 20, rng) > 0).all()


def test_an_arm_that_cannot_pay_says_what_would_have_to_change() -> None:
    one = [Round(kind=RoundKind(1, 1), num_tokens=1)] * 4
    rounds = timed((1, 1), 1.25, 8, num_asked=1)
    found = predict(costs(), rounds, {1: [one] * 3}, num_timed=4, seed=0).prediction
    assert found.verdict == "does_not_pay"
    assert found.speedup.value == pytest.approx(0.8)
    assert found.needed_c is None  # even a free draft costs more than it brings
    assert found.needed_v == pytest.approx(1.1 - 0.25)
    undecided = predict(costs(), rounds, {1: [one]}, num_timed=4, seed=0).prediction
    assert undecided.speedup.interval is None
    assert undecided.verdict == "undecided"


def test_without_a_round_there_is_no_prediction() -> None:
    probed = predict(costs(), [], {2: [[]], 3: [[]]}, num_timed=4, seed=0)
    assert probed.prediction is None
    assert (probed.num_speculative_tokens, probed.survival) == (2, (0.0, 0.0))


@pytest.mark.parametrize(("num_prompts", "num_timed"), [(4, 16), (8, 24), (16, 24)])
def test_the_interval_covers_what_other_prompts_measure(num_prompts, num_timed) -> None:
    """Speedups of prompts vary by 25%; 300 probes and 300 benchmarks on other prompts."""
    rng = np.random.default_rng(0)
    num_covered = 0
    for seed in range(300):
        tokens = 100 * np.exp(rng.normal(0.0, 0.25, num_prompts))
        rounds = np.full((num_prompts, 1), 60.0)
        draws = 1.1 * np.exp(rng.normal(0.0, 0.01, (1, 200)))
        estimate = predicted_speedup_interval(
            tokens, rounds, np.array([1.1]), draws, num_timed=num_timed, seed=seed
        )
        measured = np.median(100 * np.exp(rng.normal(0.0, 0.25, num_timed)) / 66.0)
        num_covered += estimate.low <= measured <= estimate.high
    assert num_covered / 300 > 0.92


def test_the_spread_of_costs_widens_the_interval() -> None:
    tokens, rounds = np.full(5, 80.0), np.full((5, 1), 40.0)
    exact, loose = (
        predicted_speedup_interval(
            tokens,
            rounds,
            np.array([1.0]),
            np.exp(np.random.default_rng(0).normal(0.0, sigma, (1, 400))),
            num_timed=8,
        )
        for sigma in (0.0, 0.1)
    )
    assert (exact.low, exact.value, exact.high) == pytest.approx((2.0, 2.0, 2.0))
    assert loose.low < 2 * math.exp(-0.15) < 2 * math.exp(0.15) < loose.high


class Silent:
    def emit(self, payload) -> None:
        """Progress is not under test."""


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_every_arm_has_a_prediction_before_anything_is_timed(
    target, prompts, tmp_path, temperature
) -> None:
    context = RunContext(run_dir=tmp_path, spec_digest="0" * 64, events=Silent())
    params = SamplingParams(max_new_tokens=10, temperature=temperature)
    engines, arms = probe_arms(
        target,
        [NGramArm(min_ngram=2)],
        prompts,
        params,
        num_speculative_tokens=None,
        num_timed=5,
        context=context,
    )
    assert list(engines) == list(arms) == ["autoregressive", "ngram"]
    lookup = arms["ngram"]
    assert lookup.num_speculative_tokens == engines["ngram"].num_speculative_tokens
    assert lookup.prediction.speedup.value > 0
    assert lookup.costs.rounds
    write_predictions(arms, tmp_path / "predictions.json")
    (name,) = json.loads((tmp_path / "predictions.json").read_bytes())
    assert name == "ngram"

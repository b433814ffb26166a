"""Acceptance on answers held back, worked out by hand."""

import numpy as np
import pytest
import torch

from pipeline.contracts.distillation_spec import EarlyStop
from pipeline.distillation.acceptance import acceptance_figures, hold_back, simulated_speedup
from pipeline.distillation.agreement import (
    NUM_DRAWS,
    acceptance_chances,
    acceptance_flags,
    greedy_agreement,
)
from pipeline.distillation.cache import TeacherAnswer
from pipeline.distillation.output_layer import OutputLayer
from pipeline.errors import DataError
from pipeline.modeling.tiny import tiny_llama


def answer(index: int, *, prompt=(3, 4, 5), tokens=(6, 7, 8), first_choices=(6, 7, 8)):
    length = len(tokens)
    return TeacherAnswer(
        row_id=f"r{index}",
        prompt_ids=np.array(prompt),
        answer_ids=np.array(tokens),
        topk_ids=np.array(first_choices)[:, None],
        topk_logprobs=np.zeros((length, 1), np.float32),
        tail_mass=np.zeros(length, np.float32),
        sampled_logprobs=np.zeros(length, np.float32),
    )


def test_every_eighth_answer_is_held_back() -> None:
    parts = hold_back([answer(index) for index in range(17)])
    assert [one.row_id for one in parts.heldback] == ["r0", "r8", "r16"]
    assert (len(parts.trained), parts.choosing) == (14, [])
    assert not {one.row_id for one in parts.trained} & {one.row_id for one in parts.heldback}


def test_what_a_draft_is_chosen_by_is_neither_trained_on_nor_reported() -> None:
    answers = [answer(index) for index in range(21)]
    parts = hold_back(answers, is_choosing=True)
    assert [one.row_id for one in parts.choosing] == ["r4", "r12", "r20"]
    assert [one.row_id for one in parts.heldback] == ["r0", "r8", "r16"]
    everything = [*parts.trained, *parts.heldback, *parts.choosing]
    assert sorted(one.row_id for one in everything) == sorted(one.row_id for one in answers)


@pytest.mark.parametrize(("number", "is_choosing"), [(1, False), (1, True), (4, True)])
def test_too_few_answers_leave_nothing_for_a_purpose(number: int, is_choosing: bool) -> None:
    with pytest.raises(DataError, match=f"the cache holds {number} answer") as caught:
        hold_back([answer(index) for index in range(number)], is_choosing=is_choosing)
    assert caught.value.code == "data.empty"


def test_simulated_speedup_by_hand() -> None:
    """Flags 1 0 | 1 1 | 1 behind the first token: three rounds of one drafted token at most; the
    last one drafts nothing and costs a plain step."""
    costs = EarlyStop(draft_step_cost=0.1, verification_cost=1.2)
    agreements = [np.array([1, 1, 0, 1, 1, 1], bool)]
    one = (5 / 3) / ((2 * (0.1 + 1.2) + 1.0) / 3)
    two = (5 / 2) / ((2 * 2 * 0.1 + 2 * 1.2) / 2)
    assert simulated_speedup(agreements, costs) == pytest.approx(max(one, two))
    assert simulated_speedup([np.array([True])], costs) == 1.0
    never = simulated_speedup([np.zeros(100, bool)], EarlyStop())
    assert never == pytest.approx(1 / 1.07, rel=0.01)
    free = EarlyStop(draft_step_cost=0.0, verification_cost=1.0)
    assert simulated_speedup([np.ones(701, bool)], free) == pytest.approx(7.0)


def test_the_better_the_agreement_the_higher_the_simulated_speedup() -> None:
    generator = np.random.default_rng(0)
    uniform = [generator.random(60) for _ in range(20)]
    speedups = [
        simulated_speedup([flags < share for flags in uniform], EarlyStop())
        for share in (0.1, 0.3, 0.5, 0.7, 0.9)
    ]
    assert speedups == sorted(speedups)


def test_figures_of_two_answers_by_hand() -> None:
    """The first token of an answer is the prefill's, so it counts for agreement only."""
    agreements = [np.array([1, 1, 0, 1, 1, 1], bool), np.array([0, 1, 1], bool)]
    figures = acceptance_figures(agreements, agreements)
    assert (figures.n, figures.tokens) == (2, 9)
    assert figures.greedy_agreement == pytest.approx(7 / 9)
    # Left are 1 0 1 1 1 and 1 1. One drafted token: rounds 1 0 | 1 1 | 1 and 1 1.
    assert figures.block_efficiency["1"] == pytest.approx(7 / 4)
    # Two: 1 0 | 1 1 1 and 1 1.
    assert figures.block_efficiency["2"] == pytest.approx(7 / 3)


def test_an_answer_of_one_token_has_no_round() -> None:
    figures = acceptance_figures([np.array([True])], [np.array([True])])
    assert (figures.greedy_agreement, figures.block_efficiency) == (1.0, {})


def test_agreement_is_with_what_the_target_prefers_not_with_what_was_taken() -> None:
    """With sampling the two differ; a greedy draft is accepted where it meets the argmax."""
    model = tiny_llama(seed=1).eval()
    ids = [3, 4, 5, 6, 7]
    with torch.no_grad():
        chosen = model(torch.tensor([ids])).logits[0].argmax(-1).tolist()[2:]
    wrong = [chosen[0], chosen[1] + 1, chosen[2]]
    found = greedy_agreement(model, answer(0, first_choices=wrong), OutputLayer())
    assert found.tolist() == [True, False, True]


def test_a_draft_agrees_at_best_where_it_may_say_the_token() -> None:
    model = tiny_llama(seed=1).eval()
    with torch.no_grad():
        logits = model(torch.tensor([[3, 4, 5, 6, 7]])).logits[0, 2:]
    chosen = logits.argmax(-1).tolist()
    ids = sorted({3, 4, 9, *chosen[:2]} - {chosen[2]})
    found = greedy_agreement(
        model, answer(0, first_choices=chosen), OutputLayer(np.array(ids))
    ).tolist()
    assert found == [True, True, False]
    best = logits[2, ids].argmax().item()
    instead = [*chosen[:2], ids[best]]
    found = greedy_agreement(model, answer(0, first_choices=instead), OutputLayer(np.array(ids)))
    assert found.all()


def sampled_answer(logits: torch.Tensor, prompt: list[int], tokens: list[int], k: int):
    """What a cache holds of `tokens`, which a target of `logits` [A, V] said."""
    logprobs = logits.log_softmax(-1)
    top = logprobs.topk(k, dim=-1)
    return TeacherAnswer(
        row_id="sampled",
        prompt_ids=np.array(prompt),
        answer_ids=np.array(tokens),
        topk_ids=top.indices.numpy(),
        topk_logprobs=top.values.numpy(),
        tail_mass=(1 - top.values.exp().sum(-1)).clamp_min(0).numpy(),
        sampled_logprobs=logprobs.gather(1, torch.tensor(tokens)[:, None])[:, 0].numpy(),
    )


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.5])
@pytest.mark.parametrize("ids", [None, [2, 6, 7, 40]])
def test_a_sampled_token_is_accepted_with_the_chance_of_both_distributions(
    temperature: float, ids: list[int] | None
) -> None:
    """All tokens are kept, so p is exact; q is 0 for a token the draft cannot say."""
    target, draft = tiny_llama(seed=1), tiny_llama(seed=2)
    prompt, tokens = [3, 4, 5], [6, 7, 8, 2]
    with torch.no_grad():
        p, q = (
            model(torch.tensor([[*prompt, *tokens]])).logits[0, 2:-1] for model in (target, draft)
        )
    one = sampled_answer(p, prompt, tokens, k=259)
    said = torch.full((259,), 0.0 if ids is None else -torch.inf)
    said[ids or []] = 0.0
    p, q = (p / temperature).softmax(-1), (q / temperature + said).softmax(-1)
    expected = [min(1.0, (q[i, x] / p[i, x]).item()) for i, x in enumerate(tokens)]
    output = OutputLayer(None if ids is None else np.array(ids))
    found = acceptance_chances(draft, one, output, temperature)
    assert found == pytest.approx(expected, rel=1e-3)
    assert (found[2] == 0) == (ids is not None)
    flags = acceptance_flags(draft, [one], output, temperature)
    assert len(flags) == NUM_DRAWS
    assert all(flag[chance == 1].all() for flag in flags for chance in [found])
    again = acceptance_flags(draft, [one], output, temperature)
    assert all(map(np.array_equal, flags, again))
    assert np.mean(flags, axis=0) == pytest.approx(found, abs=0.45)
    target_flags = acceptance_flags(target, [one], OutputLayer(), temperature)
    assert np.mean(target_flags) > 0.99  # its own tokens

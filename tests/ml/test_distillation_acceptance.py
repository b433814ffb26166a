"""Acceptance on answers held back, worked out by hand."""

import numpy as np
import pytest
import torch

from pipeline.distillation.acceptance import acceptance_figures, greedy_agreement, hold_back
from pipeline.distillation.cache import TeacherAnswer
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
    trained, heldback = hold_back([answer(index) for index in range(17)])
    assert [one.row_id for one in heldback] == ["r0", "r8", "r16"]
    assert len(trained) == 14
    assert not {one.row_id for one in trained} & {one.row_id for one in heldback}


def test_one_answer_leaves_nothing_to_train_on() -> None:
    with pytest.raises(DataError, match="the cache holds 1 answer") as caught:
        hold_back([answer(0)])
    assert caught.value.code == "data.empty"


def test_figures_of_two_answers_by_hand() -> None:
    """The first token of an answer is the prefill's, so it counts for agreement only."""
    agreements = [np.array([1, 1, 0, 1, 1, 1], bool), np.array([0, 1, 1], bool)]
    figures = acceptance_figures(agreements)
    assert (figures.n, figures.tokens) == (2, 9)
    assert figures.greedy_agreement == pytest.approx(7 / 9)
    # Left are 1 0 1 1 1 and 1 1. One drafted token: rounds 1 0 | 1 1 | 1 and 1 1.
    assert figures.block_efficiency["1"] == pytest.approx(7 / 4)
    # Two: 1 0 | 1 1 1 and 1 1.
    assert figures.block_efficiency["2"] == pytest.approx(7 / 3)


def test_an_answer_of_one_token_has_no_round() -> None:
    figures = acceptance_figures([np.array([True])])
    assert (figures.greedy_agreement, figures.block_efficiency) == (1.0, {})


def test_agreement_is_with_what_the_target_prefers_not_with_what_was_taken() -> None:
    """With sampling the two differ; a greedy draft is accepted where it meets the argmax."""
    model = tiny_llama(seed=1).eval()
    ids = [3, 4, 5, 6, 7]
    with torch.no_grad():
        chosen = model(torch.tensor([ids])).logits[0].argmax(-1).tolist()[2:]
    wrong = [chosen[0], chosen[1] + 1, chosen[2]]
    found = greedy_agreement(model, answer(0, first_choices=wrong))
    assert found.tolist() == [True, False, True]

"""Which tokens a draft may say, and training on them alone."""

import random
from collections import Counter

import numpy as np
import pytest
import torch

from pipeline.contracts.distillation_spec import CONTROLS, LogitDistillSpec, TargetAnswers
from pipeline.contracts.references import InstructionRef, Reference
from pipeline.distillation.batches import DistillationBatches
from pipeline.distillation.cache import TeacherAnswer
from pipeline.distillation.divergences import DIVERGENCES
from pipeline.distillation.objectives import loss_function
from pipeline.distillation.output_layer import OutputLayer
from pipeline.distillation.vocabulary import frequent_tokens, vocabulary_figures
from pipeline.modeling.tiny import tiny_llama

V, K = 40, 6
OBJECTIVES = (*DIVERGENCES, "ce_argmax", *CONTROLS)


def answer(index: int, tokens: list[int], prompt: int = 4) -> TeacherAnswer:
    """The target's distributions are random, and its argmax is what it said."""
    generator = np.random.default_rng(index)
    logits = generator.normal(size=(len(tokens), V))
    logits[np.arange(len(tokens)), tokens] += 9.0
    logprobs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    topk_ids = np.argsort(-logits, axis=-1)[:, :K]
    topk = np.take_along_axis(logprobs, topk_ids, axis=-1)
    return TeacherAnswer(
        row_id=f"r{index}",
        prompt_ids=generator.integers(0, V, prompt),
        answer_ids=np.array(tokens),
        topk_ids=topk_ids,
        topk_logprobs=topk,
        tail_mass=1.0 - np.exp(topk).sum(-1),
        sampled_logprobs=np.zeros(len(tokens)),
    )


def test_the_most_frequent_tokens_by_hand() -> None:
    answers = [answer(0, [7, 7, 9, 30]), answer(1, [9, 7, 12, 30])]

    def chosen(size: int, stops: list[int]) -> list[int]:
        return frequent_tokens(answers, size, vocab_size=V, stop_token_ids=stops).tolist()

    assert chosen(1, []) == [7]
    assert chosen(3, []) == [7, 9, 30]
    assert chosen(4, []) == [7, 9, 12, 30]  # 9 and 30 are said twice each, 12 once
    assert chosen(2, [30]) == [7, 30]
    assert chosen(2, [39]) == [7, 39]
    assert chosen(1, [38, 39]) == [38, 39]  # an answer must be able to end
    assert chosen(99, []) == list(range(V))


def test_what_the_target_nearly_said_comes_before_what_it_never_thought_of() -> None:
    answers = [answer(index, [7, 9, 7]) for index in range(3)]
    probability: Counter[int] = Counter()
    for one in answers:
        for ids, logprobs in zip(one.topk_ids, one.topk_logprobs, strict=True):
            probability.update(dict(zip(ids.tolist(), np.exp(logprobs).tolist(), strict=True)))
    unsaid = [token for token, _ in probability.most_common() if token not in (7, 9)]
    assert len(unsaid) > 5
    never = [token for token in range(V) if token not in probability]
    for size in range(2, V + 1):
        found = frequent_tokens(answers, size, vocab_size=V, stop_token_ids=[])
        assert found.tolist() == sorted([7, 9, *unsaid, *never][:size])


@pytest.mark.parametrize("seed", range(5))
def test_no_other_tokens_of_that_number_cover_more(seed: int) -> None:
    source = random.Random(seed)
    said = [int(source.paretovariate(0.7)) % V for _ in range(200)]
    answers = [answer(i, said[i : i + 20]) for i in range(0, 200, 20)]
    for size in (1, 5, 17):
        ids = frequent_tokens(answers, size, vocab_size=V, stop_token_ids=[0])
        assert (np.diff(ids) > 0).all()
        best = sum(count for _, count in Counter([t for t in said if t]).most_common(size - 1))
        figures = vocabulary_figures(ids, answers, answers[:1])
        assert figures.size == size
        assert figures.coverage_trained == pytest.approx((best + said.count(0)) / 200)
        assert figures.coverage_heldback == np.isin(said[:20], ids).mean()


def test_rows_and_tokens_are_inverse() -> None:
    ids = np.array([0, 3, 4, 39])
    output = OutputLayer(ids)
    everything = torch.arange(V).reshape(2, 20)
    rows = output.rows_of(everything)
    assert (rows >= 0).equal(torch.isin(everything, torch.from_numpy(ids)))
    assert output.tokens_of(rows[rows >= 0]).tolist() == ids.tolist()
    assert OutputLayer().rows_of(everything) is everything


def dense_loss(objective: str, logits: torch.Tensor, labels, one: TeacherAnswer, ids) -> object:
    """By the definitions, from the logits of the whole vocabulary with -inf outside `ids`."""
    outside = torch.full((V,), -torch.inf, dtype=torch.float64)
    outside[ids] = 0.0
    q = (logits + outside).softmax(-1)
    total = torch.zeros((), dtype=torch.float64)
    for position, label in enumerate(labels.tolist()):
        text = -q[position, label].log() if label in ids else 0.0
        if objective in CONTROLS:
            total = total + text
            continue
        top = [int(token) for token in one.topk_ids[position] if token in ids]
        p = dict(zip(one.topk_ids[position].tolist(), one.topk_logprobs[position], strict=True))
        kept = torch.tensor([np.exp(p[token]) for token in top], dtype=torch.float64)
        others = [token for token in ids.tolist() if token not in top]
        buckets = torch.cat([q[position, top], q[position, others].sum()[None]])
        probs = torch.cat([kept, 1.0 - kept.sum()[None]])
        argmax = int(one.topk_ids[position, 0])
        of_argmax = -q[position, argmax].log() if argmax in ids else 0.0
        if objective == "ce_argmax":
            total = total + of_argmax
            continue
        divergence = DIVERGENCES[objective](probs[None], buckets.log()[None])[0]
        total = total + 0.5 * divergence + 0.5 * of_argmax
    return total


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_training_on_few_tokens_is_training_with_the_others_impossible(objective: str) -> None:
    """Loss, number of labels and every gradient, in float64; labels the draft cannot say count."""
    one = answer(3, [7, 9, 9, 31, 12, 7, 0, 2])
    ids = np.array([0, 2, 7, 9, 13, 20, 21, 22, 33])
    model = tiny_llama(vocab_size=V, hidden_size=16, num_layers=1, num_heads=2).double()
    (batch,) = DistillationBatches(
        [one], num_epochs=1, max_seq_length=32, rows_per_step=1, seed=0,
        with_targets=objective not in CONTROLS,
    ).micro_batches(0)  # fmt: skip
    spec = LogitDistillSpec(
        target=Reference(path="target"),
        objective=objective,
        answers=TargetAnswers(prompts=InstructionRef(kind="domain_test", path="p"), num_tokens=1),
    )
    loss, num_labels = loss_function(spec, OutputLayer(ids))(model, batch)
    assert num_labels == 8
    logits = model(batch.packed.input_ids).logits[0, 3:-1]
    expected = dense_loss(objective, logits, batch.packed.labels[0, 4:], one, ids)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(loss, parameters)
    for found, wanted in zip(gradients, torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)

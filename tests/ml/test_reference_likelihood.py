"""The likelihood of references: the definition token by token, the harness, and pairs of it."""

import itertools
import math
import random

import numpy as np
import pytest
import torch

from pipeline.contracts.samples import MEASURES
from pipeline.data.records import DomainItem, Message
from pipeline.data.tokenize import ChatFormat, plain_token_ids
from pipeline.evaluation.overlap_comparison import compare_overlap
from pipeline.evaluation.reference_likelihood import score_references
from pipeline.metrics.paired import compare_paired, summarize_items
from pipeline.metrics.paired_tests import paired_p_values
from pipeline.metrics.text_overlap import score_samples, summarize
from pipeline.modeling.tiny import tiny_llama, tiny_tokenizer

KEY = "reference_bits_per_byte"
MEASURE = next(measure for measure in MEASURES if measure.key == KEY)
TEXTS = (
    ("Why?", "Because."),
    ("What does the office supervise, and since when does it do so?", "State assets, since 2003."),
    ("国资委监管什么？", "国有资产的保值增值。"),
    ("<|im_end|> is a word here", " The answer has blanks around it and <|im_start|> inside. "),
    ("Short", "A much longer reference answer, " * 6 + "which has a pass of its own."),
)


def items(texts=TEXTS) -> list[DomainItem]:
    return [
        DomainItem(id=f"i{number}", lang="en", instruction=question, input="", output=answer)
        for number, (question, answer) in enumerate(texts)
    ]


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


def token_ids(tokenizer, item) -> tuple[list[int], list[int]]:
    prompt = ChatFormat(tokenizer).prompt((Message(role="user", content=item.prompt),))
    return prompt, plain_token_ids(tokenizer, item.output.strip())


@torch.inference_mode()
def bits_by_definition(model, prompt, answer) -> float:
    """Float64, one token at a time, each from a pass of its own: no batch, no padding."""
    total = 0.0
    for end, token in enumerate(answer, start=len(prompt)):
        logits = model(torch.tensor([[*prompt, *answer][:end]])).logits[0, -1]
        total -= float(torch.log_softmax(logits, dim=-1)[token])
    return total / math.log(2)


@pytest.mark.slow
@pytest.mark.parametrize("max_positions", [1, 150, 100_000])
def test_scores_are_those_of_the_definition_in_batches_of_any_size(tokenizer, max_positions):
    exact = tiny_llama(seed=3).eval().double()
    numbers = []
    scores = score_references(
        tiny_llama(seed=3).eval(), tokenizer, items(), max_positions=max_positions,
        scored=numbers.append,
    )  # fmt: skip
    assert sum(numbers) == len(items())
    assert (max(numbers) == 1) is (max_positions == 1)
    for item, score in zip(items(), scores, strict=True):
        expected = bits_by_definition(exact, *token_ids(tokenizer, item))
        assert score.bits == pytest.approx(expected, abs=1e-3)
        assert score.num_bytes == len(item.output.strip().encode())
        assert score.columns == {
            KEY: score.bits / score.num_bytes,
            "num_reference_bytes": score.num_bytes,
        }


@pytest.mark.slow
def test_scores_are_the_harnesses(tokenizer) -> None:
    from lm_eval.models.huggingface import HFLM

    model = tiny_llama(seed=3).eval()
    adapter = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=3)
    requests = [(("", str(one.id)), *token_ids(tokenizer, one)) for one in items()]
    theirs = [-nats / math.log(2) for nats, _greedy in adapter._loglikelihood_tokens(requests)]
    ours = [score.bits for score in score_references(model, tokenizer, items())]
    assert ours == pytest.approx(theirs, abs=1e-3)


@pytest.mark.slow
def test_what_does_not_fit_into_the_context_is_left_out_at_its_ends(tokenizer) -> None:
    """A question loses its beginning; an answer counts as far as it fits, bytes included."""
    texts = (("word " * 40, "An answer."), ("Why?", "answer " * 40))
    model = tiny_llama(seed=3).eval()
    model.config.max_position_embeddings = 64
    exact = tiny_llama(seed=3).eval().double()
    scores = score_references(model, tokenizer, items(texts))
    (prompt, answer), (other_prompt, long_answer) = (
        token_ids(tokenizer, one) for one in items(texts)
    )
    assert min(len(prompt), len(long_answer)) > 64
    expected = bits_by_definition(exact, prompt[len(answer) - 64 :], answer)
    assert scores[0].bits == pytest.approx(expected, abs=1e-3)
    assert scores[0].num_bytes == len("An answer.")
    expected = bits_by_definition(exact, other_prompt[-1:], long_answer[:63])
    assert scores[1].bits == pytest.approx(expected, abs=1e-3)
    assert scores[1].num_bytes == len(tokenizer.decode(long_answer[:63]).encode())


def sides(seed: int, n: int) -> tuple[dict, dict]:
    rng = np.random.default_rng(seed)
    num_bytes = rng.integers(20, 600, n)
    before = rng.uniform(0.6, 1.6, n)
    after = before - 0.02 + rng.normal(0.0, 0.05, n)
    return tuple({KEY: one, "num_reference_bytes": num_bytes} for one in (before, after))


def total(side: dict) -> float:
    return float(
        (side[KEY] * side["num_reference_bytes"]).sum() / side["num_reference_bytes"].sum()
    )


def test_the_figure_of_a_set_is_its_bits_over_its_bytes() -> None:
    """By hand: 10 bits on 10 bytes and 90 bits on 30 bytes are 100 / 40, not (1 + 3) / 2."""
    scores = [
        overlap.columns() | {"cut_at_cap": False, "repeated_4gram_rate": 0.0} | likelihood
        for overlap, likelihood in zip(
            score_samples(["a", "b"], ["a", "b"]),
            ({KEY: 1.0, "num_reference_bytes": 10}, {KEY: 3.0, "num_reference_bytes": 30}),
            strict=True,
        )
    ]
    assert summarize(scores).figures[KEY] == 2.5
    side = {KEY: [1.0, 3.0], "num_reference_bytes": [10, 30]}
    assert summarize_items([MEASURE], side)[KEY].value == 2.5
    without = [
        {name: value for name, value in one.items() if "reference_b" not in name} for one in scores
    ]
    assert KEY not in summarize(without).figures


@pytest.mark.parametrize("seed", range(5))
def test_a_paired_difference_is_the_jackknifes_of_both_totals(seed: int) -> None:
    """Leaving each item out of both arms, written as a loop; Student's t from scipy."""
    from scipy import stats

    n = 25
    before, after = sides(seed, n)
    figure = compare_paired([MEASURE], before, after)[KEY]
    assert figure.baseline == pytest.approx(total(before))
    assert figure.difference.value == pytest.approx(total(after) - total(before))
    left_out = []
    for item in range(n):
        kept = [
            {name: np.delete(values, item) for name, values in one.items()}
            for one in (before, after)
        ]
        left_out.append(total(kept[1]) - total(kept[0]))
    error = math.sqrt((n - 1) / n * np.square(left_out - np.mean(left_out)).sum())
    half = stats.t.ppf(0.975, n - 1) * error
    assert figure.difference.low == pytest.approx(figure.difference.value - half)
    assert figure.difference.high == pytest.approx(figure.difference.value + half)
    lower = int((after[KEY] < before[KEY]).sum())
    assert (figure.improved, figure.regressed) == (lower, n - lower)


def test_the_p_value_is_the_share_of_all_swaps() -> None:
    before, after = sides(1, 8)
    moves = (after[KEY] - before[KEY]) * before["num_reference_bytes"]
    sums = [
        abs(float(np.dot(signs, moves))) for signs in itertools.product((-1, 1), repeat=len(moves))
    ]
    expected = np.mean(np.array(sums) >= abs(moves.sum()) - 1e-9)
    assert paired_p_values([MEASURE], before, after)[KEY] == pytest.approx(expected)


def test_equal_arms_are_bounded_by_the_eight_bits_of_a_byte() -> None:
    """No change among n equal items: the rule of three, weighted, on a scale that ends at 8."""
    side = {KEY: np.full(400, 1.0), "num_reference_bytes": np.full(400, 50)}
    difference = compare_paired([MEASURE], side, side)[KEY].difference
    assert (difference.value, difference.method) == (0.0, "rare_changes")
    # An item at 1 bit may move by 8 either way: twice 8 x 3.69 / 400, combined as independent.
    bound = -8.0 * math.log(0.025) / 400
    assert difference.high == pytest.approx(bound)
    assert difference.low == pytest.approx(-bound)


def test_intervals_of_the_difference_hold_what_they_promise() -> None:
    """1,000 draws of 30 questions of unequal length, about two standard errors around 95%."""
    rng = random.Random(5)
    num_held = 0
    for _ in range(1_000):
        before, after = sides(rng.randrange(10**9), 30)
        difference = compare_paired([MEASURE], before, after)[KEY].difference
        num_held += difference.low <= -0.02 <= difference.high
    assert 935 <= num_held <= 968


def test_rows_that_are_older_than_the_measure_are_compared_without_it() -> None:
    overlap = score_samples(["a b c d"], ["a b c d"])[0]
    rows = [
        overlap.columns()
        | {"item_id": f"i{number}", "cluster": None, KEY: 1.0, "num_reference_bytes": 7}
        for number in range(3)
    ]
    old = [
        {name: value for name, value in row.items() if "reference_b" not in name} for row in rows
    ]
    assert KEY in compare_overlap(rows, rows)
    for pair in ((old, rows), (rows, old), (old, [row | {KEY: None} for row in rows])):
        assert set(compare_overlap(*pair)) == {"rouge1", "rouge2", "rougeL", "bleu4"}

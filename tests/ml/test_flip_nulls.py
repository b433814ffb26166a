"""The base asked again: what was varied is varied, stored with its rows, and read from them."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from pipeline.data.records import MultipleChoiceItem
from pipeline.evaluation.flip_nulls import (
    OTHER_BATCH_SIZE,
    OTHER_PROMPTS,
    answer_again,
    read_flip_nulls,
)
from pipeline.evaluation.general_ability import PROMPTS, evaluate_choices
from pipeline.evaluation.samples import SecondAnswers, write_samples
from pipeline.modeling.tiny import tiny_llama, tiny_tokenizer

pytestmark = pytest.mark.slow


def items() -> list[MultipleChoiceItem]:
    """Twelve questions of each language, of which a random model gets some right."""
    texts = {"en": ("Which is it, {}?", "answer {} of {}"), "zh": ("第{}题是？", "选项{}之{}")}
    return [
        MultipleChoiceItem(
            id=f"{lang}{number}",
            lang=lang,
            question=texts[lang][0].format(number),
            choices=tuple(texts[lang][1].format(choice * 7, number) for choice in range(4)),
            answer=number % 4,
            meta={"topic_group": number % 2, "subject": f"s{number % 3}"},
        )
        for lang in texts
        for number in range(12)
    ]


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


@torch.inference_mode()
def most_probable(model, tokenizer, item, wording) -> int:
    """The definition in float64: one choice at a time, no harness, no batch, no padding."""
    prompt, delimiter = wording[item.lang]
    question = prompt.replace("{{question}}", item.question)
    context = tokenizer(question, add_special_tokens=False).input_ids
    totals = []
    for choice in item.choices:
        ids = context + tokenizer(delimiter + choice, add_special_tokens=False).input_ids
        logits = model(torch.tensor([ids])).logits[0].double()
        found = torch.log_softmax(logits, -1)
        totals.append(sum(float(found[at - 1, ids[at]]) for at in range(len(context), len(ids))))
    return max(range(4), key=totals.__getitem__)


def test_second_answers_are_those_of_the_definition_and_leave_the_weights_alone(tokenizer) -> None:
    model = tiny_llama(seed=3).eval()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    passes = []
    numerical, prompt = answer_again(model, tokenizer, items(), between=lambda: passes.append(None))
    assert len(passes) == 2
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    exact = tiny_llama(seed=3).eval().double()
    rounded = tiny_llama(seed=3).eval().to(torch.bfloat16).double()
    for again, reference, wording in (
        (numerical, rounded, PROMPTS),
        (prompt, exact, OTHER_PROMPTS),
    ):
        expected = {
            item.id: most_probable(reference, tokenizer, item, wording) == item.answer
            for item in items()
        }
        assert again.is_correct == expected
    assert [(change.what, change.before, change.after) for change in numerical.changes] == [
        ("batch_size", "8", str(OTHER_BATCH_SIZE)),
        ("number_format", "float32", "bfloat16 weights"),
    ]
    assert [(change.what, change.after) for change in prompt.changes] == [
        ("wording", "Q: … A:"),
        ("wording", "题目：… 回答："),
    ]


def test_a_model_in_bfloat16_is_only_asked_in_other_batches(tokenizer) -> None:
    model = tiny_llama(seed=3).eval().to(torch.bfloat16)
    numerical, _prompt = answer_again(model, tokenizer, items()[:2])
    assert [change.what for change in numerical.changes] == ["batch_size"]
    assert model.dtype == torch.bfloat16


def test_what_the_rows_hold_is_the_null_of_whoever_compares_with_them(tokenizer, tmp_path) -> None:
    """Of the base's right answers the second time loses exactly those it is told to lose."""
    choices = evaluate_choices(tiny_llama(seed=3).eval(), tokenizer, items())
    right = [choice.item_id for choice in choices if choice.is_correct]
    assert len(right) >= 3
    again = SecondAnswers(
        name="prompt",
        changes=(),
        is_correct={
            choice.item_id: choice.is_correct and choice.item_id not in right[:2]
            for choice in choices
        },
    )
    path = tmp_path / "samples.parquet"
    write_samples([], choices, path, again=[again])
    (null,) = read_flip_nulls(path)
    assert (null.name, null.rate.n, null.rate.resampled) == ("prompt", 24, "cluster")
    assert null.rate.value == pytest.approx(2 / 24)
    assert null.rate.low < 2 / 24 < null.rate.high


def test_rows_of_a_model_that_was_asked_once_hold_no_null(tokenizer, tmp_path: Path) -> None:
    """Also of a version that knew no second answer."""
    choices = evaluate_choices(tiny_llama(seed=3).eval(), tokenizer, items())
    path = tmp_path / "samples.parquet"
    write_samples([], choices, path)
    assert read_flip_nulls(path) == ()
    table = pq.read_table(path)
    old = table.drop_columns([name for name in table.column_names if name.endswith("_null")])
    pq.write_table(old, path)
    assert read_flip_nulls(path) == ()


def test_what_was_varied_survives_the_file(tokenizer, tmp_path: Path) -> None:
    model = tiny_llama(seed=3).eval()
    choices = evaluate_choices(model, tokenizer, items())
    again = answer_again(model, tokenizer, items())
    path = tmp_path / "samples.parquet"
    write_samples([], choices, path, again=again)
    found = read_flip_nulls(path)
    assert [(null.name, null.changes) for null in found] == [
        (one.name, one.changes) for one in again
    ]
    lost = sum(choice.is_correct and not again[1].is_correct[choice.item_id] for choice in choices)
    assert found[1].rate.value == pytest.approx(lost / len(choices))

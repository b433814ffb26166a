"""Answers of our engine are those that lm-evaluation-harness's own adapter generates."""

from typing import Any

import pytest
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.evaluation.harness_model import EngineModel
from pipeline.modeling.tiny import tiny_llama, tiny_tokenizer

CONTEXTS = ("1 + 1 =", "国资委 2023 年", "a", "Question: how many of 12 are left?\nAnswer:", "b c")


def asked(**settings: Any) -> list[Instance]:
    return [
        Instance(
            request_type="generate_until",
            doc={},
            arguments=(context, {"max_gen_toks": 20, **settings}),
            idx=0,
        )
        for context in CONTEXTS
    ]


@pytest.mark.parametrize("until", [["\n"], ["e", "x"], []])
def test_greedy_answers_are_the_harness_s(until: list[str]) -> None:
    model, tokenizer = tiny_llama(seed=3).eval(), tiny_tokenizer()
    theirs = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=3)
    requests = asked(until=until, do_sample=False, temperature=0.0)
    expected = theirs.generate_until(requests, disable_tqdm=True)
    found = EngineModel(model, tokenizer, batch_size=3)
    assert found.generate_until(requests, disable_tqdm=True) == expected
    assert len(set(expected)) > 2


def test_a_model_may_end_its_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every token that the model's own settings name as the end."""
    model, tokenizer = tiny_llama(seed=3).eval(), tiny_tokenizer()
    found = EngineModel(model, tokenizer, batch_size=5)
    (first, *_) = found.generate_until(asked(until=[], do_sample=False), disable_tqdm=True)
    ends = tokenizer(first[2:3], add_special_tokens=False).input_ids
    monkeypatch.setattr(model.generation_config, "eos_token_id", [*ends, tokenizer.eos_token_id])
    shorter = EngineModel(model, tokenizer, batch_size=5)
    theirs = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=5)
    requests = asked(until=[], do_sample=False)
    assert shorter.generate_until(requests, disable_tqdm=True) == theirs.generate_until(
        requests, disable_tqdm=True
    )


def test_drawn_answers_are_left_to_the_harness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(AutoregressiveEngine, "generate")
    found = EngineModel(tiny_llama(seed=3).eval(), tiny_tokenizer(), batch_size=5)
    answers = found.generate_until(
        asked(until=["\n"], do_sample=True, temperature=1.0), disable_tqdm=True
    )
    assert len(answers) == len(CONTEXTS)

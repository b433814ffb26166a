"""The sweep changes one factor at a time, and what it says of each setting is what took place."""

import shutil
from pathlib import Path

import pytest

from bench import decoding_sweep
from bench.sweep.settings import DEFAULT, Setting, swept
from bench.sweep.texts import Texts
from pipeline.modeling.draft_vocabulary import DRAFT_VOCABULARY_NAME, draft_vocabulary_document
from pipeline.modeling.tiny import tiny_llama, tiny_tokenizer

SHORT = ["--lengths", "1", "2", "--inputs", "24", "--batches", "2", "--temperatures", "1.0",
         "--num-units", "2", "--max-new-tokens", "9", "--threads", "1"]  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> tuple[Path, Path]:
    """A target, and a draft that agrees by chance only."""
    root = tmp_path_factory.mktemp("sweep")
    for name, seed in (("target", 0), ("draft", 1)):
        model = tiny_llama(max_position_embeddings=2048, seed=seed)
        model.save_pretrained(root / name)
        tiny_tokenizer().save_pretrained(root / name)
    return root / "target", root / "draft"


def swept_with(target: Path, draft: Path) -> decoding_sweep.Result:
    return decoding_sweep.run(["--target", str(target), "--draft", str(draft), *SHORT])


def test_one_factor_differs_at_a_time_and_the_default_is_measured_once() -> None:
    found = swept([1, 2, 3], [128], [2, 4], [0.0, 0.7])
    assert [(one.factor, one.value) for one in found] == [
        ("default", "-"), ("draft_length", "1"), ("draft_length", "3"), ("input_tokens", "128"),
        ("batch", "2"), ("batch", "4"), ("temperature", "0.7"),
    ]  # fmt: skip


def test_without_models_nothing_is_measured_and_that_is_said() -> None:
    result = decoding_sweep.run([])
    assert result.not_run.startswith("not run")
    assert result.figures == result.ratios == {}


def test_units_are_as_long_and_as_large_as_the_setting_says() -> None:
    texts = Texts(tiny_tokenizer())
    windows = texts.units(Setting(input_tokens=64), 3)
    assert [len(prompt) for unit in windows for prompt in unit] == [64] * 3
    batches = texts.units(Setting(batch=8), 6)
    prompts = [prompt for unit in batches for prompt in unit]
    assert (len(batches), len(prompts), len(set(prompts))) == (6, 48, 48)
    with pytest.raises(SystemExit, match="too little text for batch 99"):
        texts.units(Setting(batch=99), 6)
    assert len(texts.units(DEFAULT, 99)) == 56


def test_every_setting_is_measured_and_greedy_answers_are_the_targets(models) -> None:
    result = swept_with(*models)
    assert result.failures == []
    assert set(result.ratios) == {
        "default_vs_plain", "draft_length_1_vs_plain", "input_tokens_24_vs_plain",
        "batch_2_vs_plain", "temperature_1_vs_plain",
    }  # fmt: skip
    rows = {(row[0], row[1]): row for row in result.table.rows}
    assert [row[-2] for row in rows.values()] == ["2/2", "2/2", "2/2", "4/4", "-"]
    assert rows["batch", "2"][4:7] == ["-", "-", "-"]  # only the whole is timed
    low, high = result.spread["default_vs_plain"]
    assert 0 < low <= result.ratios["default_vs_plain"] <= high


def test_a_draft_that_is_the_target_is_accepted_whole(models) -> None:
    target, draft = models
    agreeing, other = (swept_with(target, one).figures for one in (target, draft))
    # The last round of an answer may be cut off by its limit.
    for name, length in (("default", 2), ("draft_length_1", 1), ("batch_2", 2)):
        assert agreeing[f"{name}_tokens_a_round"] > 1 + 0.7 * length
        assert other[f"{name}_tokens_a_round"] < 1 + 0.5 * length


def test_a_draft_that_may_say_few_tokens_is_timed_as_it_is(models, tmp_path) -> None:
    target, _other = models
    few = shutil.copytree(target, tmp_path / "few")
    (few / DRAFT_VOCABULARY_NAME).write_bytes(draft_vocabulary_document([2, 5]))
    agreeing, restricted = (swept_with(target, one).figures for one in (target, few))
    assert agreeing["default_tokens_a_round"] > 2.4
    assert restricted["default_tokens_a_round"] < 1.5

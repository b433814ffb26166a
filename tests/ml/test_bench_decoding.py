"""The benchmark of decoding: what its arms may read, and what counts as a failure."""

import json
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from bench import batched_answers, decoding
from bench.answering import own_arms, prompts
from bench.answering.figures import result
from bench.answering.turns import NotRun, Turns
from bench.rivals.gguf_export import export
from bench.rivals.hugging_face_batches import generate_in_batches
from bench.rivals.others import RIVALS
from pipeline.data.datasets import read_rows
from pipeline.data.records import DomainItem
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import Completion, SamplingParams
from pipeline.evaluation.decoding_figures import Measurement
from pipeline.modeling.loading import dequantize_gguf, load_model
from pipeline.modeling.tiny import TINY_VOCAB_SIZE, tiny_llama, tiny_tokenizer

PROMPTS = [(5, 6, 7), (80, 90)]


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its context holds the questions in bytes."""
    path = tmp_path_factory.mktemp("model")
    tiny_llama(max_position_embeddings=4096).save_pretrained(path)
    tiny_tokenizer().save_pretrained(path)
    return path


def completion(*token_ids: int, seconds: float = 1.0) -> Completion:
    return Completion(
        token_ids=token_ids, finish_reason="length", prefill_seconds=1, decode_seconds=seconds
    )


def test_what_is_stored_is_about_other_documents_than_the_questions() -> None:
    options = Namespace(draft=Path("draft"), teacher_cache=None, length=2, lookup_length=5)
    unseen = set(prompts.DATA.splits.unseen_documents)
    arms = own_arms.drafting(options)
    for name in ("store", "combined"):
        arm, length = arms[name]
        documents = {item.meta["doc_id"] for item in read_rows(arm.dataset, DomainItem)}
        assert documents
        assert not documents & unseen
        assert length == 5


def test_a_cache_that_answers_a_timed_question_is_refused(monkeypatch) -> None:
    class Answer:
        prompt_ids = torch.tensor([80, 90])

    monkeypatch.setattr(prompts, "read_manifest", lambda path: Namespace(key=None))
    monkeypatch.setattr(prompts, "open_teacher_cache", lambda path, key: [Answer])
    prompts.check_unasked(Path("cache"), [(5, 6, 7)])
    with pytest.raises(SystemExit, match="answers 1 of the questions"):
        prompts.check_unasked(Path("cache"), PROMPTS)


def test_only_our_own_other_answers_are_failures() -> None:
    target = tiny_llama()
    params = SamplingParams(max_new_tokens=6)
    plain = [[one] for one in AutoregressiveEngine(target).generate(PROMPTS, params)]
    right = [one[0].token_ids for one in plain]
    wrong = [[completion(*right[0][:2], (right[0][2] + 1) % 259)], [completion(right[1][0])]]
    measured = {name: Measurement(completions=wrong) for name in ("combined", "rival")}
    turns = Turns(
        measured={"plain": Measurement(completions=plain)} | measured, not_run={"gone": "no word"}
    )
    found = result(target, PROMPTS, turns, ours=("plain", "combined"))
    assert found.failures == ["combined: an answer is not the target's own"]
    rows = {row[0]: row for row in found.table.rows}
    assert [rows["rival"][-3:], rows["plain"][-3:]] == [["0/2", 0, 2], ["2/2", 0, 0]]
    assert rows["gone"][1] == "not run: no word"
    assert len(rows["gone"]) == len(found.table.columns)
    # The second answer of one token took no time; the ratio is that of the first.
    per_token = plain[0][0].decode_seconds / 5
    assert found.ratios["rival_vs_plain"] == pytest.approx(per_token / 0.5)
    assert found.ratios["combined_vs_rival"] == 1


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_asks_for_what_it_was_not_given(name: str) -> None:
    options = decoding._parser().parse_args([])
    with pytest.raises(NotRun, match="give --"):
        RIVALS[name].command(options, context=9)


def tokenizer_with_a_merge() -> PreTrainedTokenizerFast:
    newline = "\u010a"  # as byte-level vocabularies spell it
    content = json.loads(tiny_tokenizer().backend_tokenizer.to_str())
    content["model"]["vocab"][newline * 2] = TINY_VOCAB_SIZE
    content["model"]["merges"] = [[newline, newline]]
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(content)),
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
    )


def test_a_file_for_other_libraries_holds_the_same_model(tmp_path: Path) -> None:
    """Read back by transformers, which knows llama.cpp's order of queries and keys."""
    model = tiny_llama(vocab_size=TINY_VOCAB_SIZE + 1)
    model.config.rope_parameters["rope_theta"] = 54321.0
    export(model, tokenizer_with_a_merge(), tmp_path / "model.gguf")
    again = load_model(
        dequantize_gguf(tmp_path / "model.gguf", tmp_path / "again"),
        dtype=torch.float32,
        device="cpu",
    )
    assert again.config.rope_parameters["rope_theta"] == 54321.0
    weights = again.state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, weights[name]), name
    model.config.attention_bias = True
    with pytest.raises(ValueError, match="no plain Llama"):
        export(model, tiny_tokenizer(), tmp_path / "other.gguf")


def test_batches_of_generate_end_where_each_answer_does() -> None:
    model = tiny_llama()
    asked = [(5, 6, 7), (80,), (9, 10, 11, 12), (33, 200)]
    for stops in ((), tuple(range(0, 259, 7))):
        params = SamplingParams(max_new_tokens=12, stop_token_ids=stops)
        expected = AutoregressiveEngine(model).generate(asked, params)
        found = generate_in_batches(model, asked, params, batch_size=3)
        assert found == [one.token_ids for one in expected]


def test_without_a_model_nothing_is_measured() -> None:
    assert batched_answers.run([]).not_run.startswith("not run: give --model")
    assert decoding.run([]).not_run.startswith("not run: give --target")


@pytest.mark.recipes
def test_batched_answers_are_equal_and_timed(model_path: Path) -> None:
    found = batched_answers.run(
        ["--model", str(model_path), "--num-prompts=5", "--batch-size=2", "--max-new-tokens=6",
         "--repeats=2", "--threads=1"]
    )  # fmt: skip
    assert found.failures == []
    assert found.ratios["ours_vs_generate"] > 0
    assert [row[0] for row in found.table.rows] == ["ours", "generate"]


@pytest.mark.recipes
def test_every_arm_of_ours_is_lossless_beside_rivals_that_cannot_run(model_path: Path) -> None:
    found = decoding.run(
        ["--target", str(model_path), "--draft", str(model_path), "--num-prompts=2",
         "--max-new-tokens=8", "--threads=1", "--llama-cpp", sys.executable,
         "--gguf", str(model_path), "--arms", "draft", "lookup", "store", "combined", "generate",
         "llama_cpp", "openvino"]
    )  # fmt: skip
    assert found.failures == []
    rows = {row[0]: row for row in found.table.rows}
    assert list(rows) == [
        "plain", "draft", "lookup", "store", "combined", "generate", "llama_cpp", "openvino",
    ]  # fmt: skip
    assert {rows[name][-3] for name in list(rows)[:6]} == {"2/2"}
    assert "No module named 'llama_cpp'" in rows["llama_cpp"][1]
    assert rows["openvino"][1] == "not run: give --openvino and --ir"
    assert {"combined_vs_generate", "plain_vs_generate", "store_vs_plain"} <= set(found.ratios)

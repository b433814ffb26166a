"""Held-out figures by hand, and what the two recipes refuse or warn of."""

import json
import math
from pathlib import Path

import pytest
import torch
from tokenizers.processors import TemplateProcessing

from pipeline.contracts.events import Payload, RunWarning
from pipeline.contracts.specs import parse_spec
from pipeline.data.records import Document
from pipeline.errors import DataError, ModelError, PipelineError, SpecError, StoppedAtCheckpoint
from pipeline.execution import RecipeResult, RunContext
from pipeline.modeling.tiny import save_tiny_model, tiny_llama, tiny_tokenizer
from pipeline.recipes import continual_pretrain, curriculum_sft
from pipeline.training.heldout import measure_heldout, prepare_heldout


class RecordedEvents:
    """An event sink for tests."""

    def __init__(self) -> None:
        self.payloads: list[Payload] = []

    def emit(self, payload: Payload) -> None:
        self.payloads.append(payload)

    def warnings(self) -> dict[str, str]:
        return {p.code: p.message for p in self.payloads if isinstance(p, RunWarning)}


def documents(*texts: str) -> list[Document]:
    return [Document(id=f"d{i}", lang="zh", text=text) for i, text in enumerate(texts)]


def context(run_dir: Path) -> RunContext:
    return RunContext(run_dir=run_dir, spec_digest="0" * 64, events=RecordedEvents())


def test_heldout_loss_predicts_each_token_but_the_first_once(tmp_path: Path) -> None:
    """A byte-level tokenizer: a token is a byte, so the figures follow from the definition."""
    model, tokenizer = tiny_llama(), tiny_tokenizer()
    short, long = "国企", "A text that is longer than one row of sixteen tokens."
    corpus = prepare_heldout(documents(short, long), tokenizer, max_seq_length=16)
    measured = measure_heldout(model, corpus, context(tmp_path))
    # `国` is three tokens of one character: its first token's bytes cannot be told apart from it.
    assert measured.num_bytes == 3 + len(long) - 1
    assert measured.num_tokens == 5 + len(long) - 1
    total = 0.0
    for text in (short, long):
        ids = tokenizer(text).input_ids
        # Pieces of 16 that overlap by one token, each alone in the model.
        for start in range(0, len(ids) - 1, 15):
            piece = torch.tensor([ids[start : start + 16]])
            with torch.no_grad():
                mean = model(input_ids=piece, labels=piece).loss.item()
            total += mean * (piece.shape[1] - 1)
    assert measured.loss == pytest.approx(total / measured.num_tokens, rel=1e-5)
    assert measured.bits_per_byte == pytest.approx(
        total / math.log(2) / measured.num_bytes, rel=1e-5
    )


def test_heldout_first_token_is_predicted_from_a_bos_token(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", 1)]
    )
    corpus = prepare_heldout(documents("abc"), tokenizer, max_seq_length=16)
    measured = measure_heldout(tiny_llama(), corpus, context(tmp_path))
    assert (measured.num_tokens, measured.num_bytes) == (3, 3)


def test_heldout_corpus_without_predictions_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        prepare_heldout(documents("a", "b"), tiny_tokenizer(), max_seq_length=16)
    assert caught.value.code == "data.empty"


def test_measuring_stops_on_request(tmp_path: Path) -> None:
    corpus = prepare_heldout(documents("abc"), tiny_tokenizer(), max_seq_length=16)
    stopping = context(tmp_path)
    stopping.stop.set()
    with pytest.raises(StoppedAtCheckpoint):
        measure_heldout(tiny_llama(), corpus, stopping)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recipes")
    save_tiny_model(root / "base")
    corpus_lines = [{"id": f"doc-{i}", "text": f"Document {i} of the corpus."} for i in range(6)]
    chat_lines = [
        {
            "id": f"chat-{i}",
            "messages": [
                {"role": "user", "content": "Q" * 20},
                {"role": "assistant", "content": "answer " * (1 + 10 * i)},
            ],
        }
        for i in range(4)
    ]
    for name, lines in {"corpus": corpus_lines, "chats": chat_lines}.items():
        (root / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return root


def pretrain_document(files: Path, **changes) -> dict:
    dataset = {"path": str(files / "corpus.jsonl"), "kind": "corpus"}
    return {
        "kind": "continual_pretrain",
        "model": {"path": str(files / "base")},
        "sources": [{"name": "domain", "dataset": dataset, "weight": 1.0}],
        "num_tokens": 100,
        "batch": {"max_seq_length": 64},
        "optimizer": {"learning_rate": 1e-3},
        "device": "cpu",
        **changes,
    }


def tune_document(files: Path, **changes) -> dict:
    dataset = {"path": str(files / "chats.jsonl"), "kind": "conversations"}
    return {
        "kind": "curriculum_sft",
        "model": {"path": str(files / "base")},
        "stages": [{"name": "expert", "datasets": [dataset], "num_tokens": 100}],
        "batch": {"max_seq_length": 512},
        "optimizer": {"learning_rate": 1e-3},
        "device": "cpu",
        **changes,
    }


def run(document: dict, run_dir: Path) -> tuple[RecipeResult, RecordedEvents]:
    spec = parse_spec(json.dumps(document))
    recipe = continual_pretrain if spec.kind == "continual_pretrain" else curriculum_sft
    run_context = context(run_dir)
    return recipe.run(spec, run_context), run_context.events


def test_heldout_document_that_is_trained_on_is_refused(files: Path, tmp_path: Path) -> None:
    heldout = {"path": str(files / "corpus.jsonl"), "kind": "corpus", "limit": 2}
    document = pretrain_document(files, heldout=[heldout])
    with pytest.raises(SpecError, match=r"heldout\.0: 2 of its 2 .*'doc-0' in source 'domain'"):
        run(document, tmp_path)


def test_heldout_kept_out_by_a_filter_is_measured(files: Path, tmp_path: Path) -> None:
    corpus = {"path": str(files / "corpus.jsonl"), "kind": "corpus"}
    unseen = {"field": "id", "values": ["doc-0", "doc-1"]}
    document = pretrain_document(files, heldout=[{**corpus, "where": [unseen]}])
    document["sources"][0]["dataset"] = {**corpus, "where": [{**unseen, "keep": False}]}
    result, _ = run(document, tmp_path)
    [heldout] = result.results.heldout
    assert heldout.file == "corpus.jsonl"
    assert heldout.before.num_tokens == heldout.after.num_tokens > 0
    assert heldout.before.loss != heldout.after.loss


def test_many_epochs_are_a_warning(files: Path, tmp_path: Path) -> None:
    _, events = run(pretrain_document(files, num_tokens=1000), tmp_path)
    assert "'domain' is gone through" in events.warnings()["data.many_epochs"]
    _, events = run(pretrain_document(files, num_tokens=300), tmp_path / "fewer")
    assert events.warnings() == {}


def test_model_that_changed_since_the_spec_was_written_is_refused(
    files: Path, tmp_path: Path
) -> None:
    model = {"path": str(files / "base"), "digest": "0" * 64}
    with pytest.raises(ModelError) as caught:
        run(pretrain_document(files, model=model), tmp_path)
    assert caught.value.code == "model.digest_mismatch"


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_that_is_not_there_is_refused(files: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="device: cuda is asked for") as caught:
        run(pretrain_document(files, device="cuda"), tmp_path)
    assert caught.value.code == "spec.device_unavailable"


def test_bfloat16_computes_differently_over_float32_weights(files: Path, tmp_path: Path) -> None:
    exact, _ = run(pretrain_document(files), tmp_path / "float32")
    rounded, _ = run(pretrain_document(files, dtype="bfloat16"), tmp_path / "bfloat16")
    difference = abs(exact.results.loss_first - rounded.results.loss_first)
    assert 0 < difference < 0.05 * exact.results.loss_first


def test_cut_conversations_are_a_warning(files: Path, tmp_path: Path) -> None:
    _, events = run(tune_document(files, batch={"max_seq_length": 128}), tmp_path)
    message = events.warnings()["data.rows_truncated"]
    assert "2 of 4 conversations, such as 'chat-2'" in message
    _, events = run(tune_document(files), tmp_path / "longer")
    assert events.warnings() == {}


def test_conversation_whose_answer_is_cut_off_is_refused(files: Path, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="'chat-0'") as caught:
        run(tune_document(files, batch={"max_seq_length": 16}), tmp_path)
    assert caught.value.code == "data.mask_empty"


def test_single_stage_trains_as_many_tokens_as_the_stages(files: Path, tmp_path: Path) -> None:
    chats = {"path": str(files / "chats.jsonl"), "kind": "conversations"}
    stages = [
        {"name": "weak", "datasets": [chats], "num_tokens": 600},
        {"name": "expert", "datasets": [chats], "num_tokens": 600, "replay_fraction": 0.25},
    ]
    longest = 300
    totals = {}
    for mode in ("progressive", "single_stage"):
        result, _ = run(tune_document(files, stages=stages, mode=mode), tmp_path / mode)
        assert result.results.mode == mode
        assert len(result.results.stages) == (2 if mode == "progressive" else 1)
        totals[mode] = result.results.tokens
    assert abs(totals["progressive"] - totals["single_stage"]) < 2 * longest

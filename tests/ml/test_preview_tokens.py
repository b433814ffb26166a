"""The token preview shows what training's batches hold: the same tokens, the same mask, the same
cuts.
"""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.contracts.specs import parse_run_spec
from pipeline.contracts.training_specs import BatchSettings
from pipeline.data.datasets import read_rows
from pipeline.data.mixture import Source
from pipeline.data.records import Conversation, Document
from pipeline.data.token_preview import is_trained, preview_row
from pipeline.data.tokenize import (
    IGNORED_LABEL,
    tokenize_conversations,
    tokenize_documents,
    truncate,
)
from pipeline.execution import RunContext
from pipeline.modeling.tiny import save_tiny_model, tiny_tokenizer
from pipeline.recipes import preview_tokens
from pipeline.training.batches import MixtureBatches


def conversation(question: str, answer: str) -> dict:
    return {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
    }


CONVERSATIONS = [conversation(f"问{n}" * n, "答" * (7 * n)) for n in range(1, 6)]
DOCUMENTS = [{"text": "国有资产" * 3 * n + "<|im_end|>"} for n in range(1, 6)]
LENGTH = 64


def write(path: Path, rows: list[dict]) -> Path:
    lines = (json.dumps({"lang": "zh", **row}, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")
    return path


def batch_rows(tokenized: list) -> list[tuple[list[int], list[bool]]]:
    """(tokens, which are trained on) of every piece in one epoch of training's batches."""
    source = Source(name="a", weight=1.0, rows=tokenized)
    num_tokens = sum(len(row.input_ids) for row in tokenized)
    batches = MixtureBatches(
        [source], num_tokens=num_tokens - 1, batch=BatchSettings(max_seq_length=LENGTH), seed=0
    )
    pieces: list[tuple[list[int], list[bool]]] = []
    for step in range(batches.num_steps):
        for batch in batches.micro_batches(step):
            labels = batch.labels[0].tolist()
            positions = batch.position_ids[0].tolist()
            for token, label, position in zip(
                batch.input_ids[0].tolist(), labels, positions, strict=True
            ):
                if position == 0:
                    pieces.append(([], []))
                pieces[-1][0].append(token)
                pieces[-1][1].append(label != IGNORED_LABEL)
    return pieces


@pytest.mark.parametrize("kind", ["conversations", "corpus"])
def test_the_preview_is_what_training_trains_on(tmp_path: Path, kind: str) -> None:
    tokenizer = tiny_tokenizer()
    path = write(tmp_path / "rows.jsonl", CONVERSATIONS if kind == "conversations" else DOCUMENTS)
    ref = json.dumps({"kind": kind, "path": str(path)})
    spec = parse_run_spec(
        f'{{"kind": "check_dataset", "dataset": {ref}}}'  # only for its reference
    )
    if kind == "corpus":
        records = read_rows(spec.dataset, Document)
        tokenized = tokenize_documents(records, tokenizer)
    else:
        records = read_rows(spec.dataset, Conversation)
        tokenized = [truncate(row, LENGTH) for row in tokenize_conversations(records, tokenizer)]
    shown = [
        (part.input_ids.tolist(), is_trained(part).tolist())
        for record in records
        for part in preview_row(record, tokenizer, LENGTH).parts
    ]
    assert sorted(shown) == sorted(batch_rows(tokenized))


def test_pieces_are_the_text_and_totals_are_those_of_the_rows(
    tmp_path: Path, context: RunContext
) -> None:
    model = save_tiny_model(tmp_path / "model")
    cut = conversation("问" * 99, "答")
    path = write(tmp_path / "rows.jsonl", [*CONVERSATIONS[:2], CONVERSATIONS[4], cut])
    spec = {
        "kind": "preview_tokens",
        "model": {"path": str(model)},
        "dataset": {"kind": "conversations", "path": str(path)},
        "start": 1,
        "max_seq_length": 100,
    }
    result = preview_tokens.run(parse_run_spec(json.dumps(spec)), context)
    short, long, lost = pq.read_table(result.outputs["tokens"]).to_pylist()

    [part] = short["parts"]
    text = "".join(piece["text"] for piece in part)
    assert text == (
        "<|im_start|>user\n问2问2<|im_end|>\n<|im_start|>assistant\n" + "答" * 14 + "<|im_end|>\n"
    )
    trained = [piece for piece in part if piece["is_trained"]]
    assert "".join(piece["text"] for piece in trained) == "答" * 14 + "<|im_end|>"
    # A character of three bytes is one piece of three tokens here.
    assert [piece["num_tokens"] for piece in trained] == [3] * 14 + [1]
    assert short["num_trained_tokens"] == 14 * 3 + 1
    assert sum(piece["num_tokens"] for piece in part) == short["num_tokens"]

    assert sum(piece["num_tokens"] for piece in long["parts"][0]) == 100
    assert sum(piece["num_tokens"] for piece in long["lost"]) == long["num_lost_tokens"] > 0
    assert not any(piece["is_trained"] for piece in long["lost"])
    assert lost["error"].startswith("data.mask_empty: ")

    found = result.results
    assert (found.num_rows, found.num_cut_rows, found.num_unusable_rows) == (3, 2, 1)
    assert found.num_tokens == sum(row["num_tokens"] for row in (short, long, lost))
    assert found.num_trained_tokens == short["num_trained_tokens"] + long["num_trained_tokens"]
    assert found.num_lost_tokens == long["num_lost_tokens"] + lost["num_lost_tokens"]

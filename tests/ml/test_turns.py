"""Nothing a turn or a question carries is lost on the way from a file to the trained tokens."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.contracts.references import DatasetRef
from pipeline.contracts.row_errors import RowError
from pipeline.data.datasets import read_rows
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from pipeline.data.records import Conversation, DomainItem, Message
from pipeline.data.tokenize import IGNORED_LABEL, ChatFormat, tokenize_conversations
from pipeline.data.version_files import RowWriter
from pipeline.errors import DataError
from pipeline.evaluation import reference_likelihood
from pipeline.modeling.tiny import tiny_tokenizer

TURNS = [
    {"role": "user", "content": "Q1", "name": "Li"},
    {"role": "assistant", "content": "first", "weight": 0},
    {"role": "user", "content": "Q2"},
    {"role": "assistant", "content": "second", "weight": 1, "reasoning_content": "because"},
]


def read(tmp_path: Path, kind: str, *rows: object) -> list:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return list(scan_rows(path, Reading(kind=kind)))


def stored(tmp_path: Path, kind: str, record) -> Path:
    path = tmp_path / "rows.parquet"
    with RowWriter(path, kind) as rows:
        rows.append(record)
    return path


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


@pytest.mark.parametrize(
    "row",
    [
        {"messages": TURNS},
        {"messages": [{**turn, "loss": turn.get("weight", 1) == 1} for turn in TURNS]},
        {
            "conversations": [
                {
                    "from": {"user": "human", "assistant": "gpt"}[turn["role"]],
                    "value": turn["content"],
                    **{key: turn[key] for key in turn if key not in {"role", "content"}},
                }
                for turn in TURNS
            ]
        },
    ],
)
def test_fields_of_turns_reach_the_version_and_weight_0_is_not_trained(
    tmp_path: Path, row: dict[str, object], tokenizer
) -> None:
    (record,) = read(tmp_path, "conversations", row)
    assert [turn.weight for turn in record.messages] == [1, 0, 1, 1]
    assert record.meta["turn_fields"]["0"] == {"name": "Li"}
    assert record.meta["turn_fields"]["3"]["reasoning_content"] == "because"
    path = stored(tmp_path, "conversations", record)
    again = read_rows(DatasetRef(path=str(path), kind="conversations"), Conversation)
    assert again == [record]
    [tokens] = tokenize_conversations(again, tokenizer)
    trained = [label for label in tokens.labels.tolist() if label != IGNORED_LABEL]
    assert tokenizer.decode(trained) == "second<|im_end|>"
    # The same tokens are read, whatever the weights.
    plain = [Message(role=turn.role, content=turn.content) for turn in record.messages]
    assert tokens.input_ids.tolist() == ChatFormat(tokenizer).conversation(plain)[0]


def test_a_conversation_of_which_nothing_is_trained_is_refused(tmp_path: Path, tokenizer) -> None:
    row = {"messages": [TURNS[0], TURNS[1]]}
    for kind in ("conversations", "domain_test"):
        (error,) = read(tmp_path, kind, row)
        assert (error.code, error.line) == ("row.nothing_trained", 1)
    untrained = Conversation(
        id="c",
        lang="en",
        messages=(
            Message(role="user", content="Q"),
            Message(role="assistant", content="A", weight=0),
        ),
    )
    with pytest.raises(DataError, match="weight"):
        tokenize_conversations([untrained], tokenizer)


@pytest.mark.parametrize(
    ("weight", "is_valid"), [(0.0, True), (True, True), (0.5, False), ("0", False)]
)
def test_a_weight_is_0_or_1(tmp_path: Path, weight: object, is_valid: bool) -> None:
    (found,) = read(
        tmp_path, "conversations", {"messages": [*TURNS[:2], TURNS[2], {**TURNS[3], "weight": 1}]}
    )
    assert isinstance(found, Conversation)
    turns = [TURNS[0], {**TURNS[1], "weight": weight}, *TURNS[2:]]
    (found,) = read(tmp_path, "conversations", {"messages": turns})
    if is_valid:
        assert found.messages[1].weight == weight
    else:
        assert (found.code, found.column) == ("row.turn_weight", "messages.1.weight")


def test_parts_of_plain_text_are_one_text_and_others_are_refused(tmp_path: Path) -> None:
    answer = [{"type": "text", "text": "A "}, {"type": "output_text", "text": " B"}]
    turns = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": answer}]
    (record,) = read(tmp_path, "conversations", {"messages": turns})
    assert record.messages[1].content == "A  B"
    answer.append({"type": "refusal", "refusal": "no"})
    (error,) = read(tmp_path, "conversations", {"messages": turns})
    assert (error.code, error.column) == ("row.content_part", "messages.1.content.2")


def test_a_system_field_is_the_first_turn_unless_there_is_one(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    first = {"role": "system", "content": "own"}
    plain, own = read(
        tmp_path,
        "conversations",
        {"messages": turns, "system": "S"},
        {"messages": [first, *turns], "system": "S"},
    )
    assert [turn.content for turn in plain.messages] == ["S", "Q", "A"]
    assert [turn.content for turn in own.messages] == ["own", "Q", "A"]
    assert (plain.meta, own.meta) == ({}, {"system": "S"})


CONTEXT = {"system": "S", "history": [["Q1", "A1"]]}


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "Q2", "input": "", "output": "A2", **CONTEXT},
        {"instruction": "Q2", "output": "A2", "system": "S", "history": '[["Q1", "A1"]]'},
        {
            "instruction": "Q2",
            "output": "A2",
            "system": "S",
            "history": [{"role": "user", "content": "Q1"}, {"from": "gpt", "value": "A1"}],
        },
        {
            "messages": [
                {"role": role, "content": content}
                for role, content in (
                    ("system", "S"),
                    ("user", "Q1"),
                    ("assistant", "A1"),
                    ("user", "Q2"),
                    ("assistant", "A2"),
                )
            ]
        },
    ],
)
def test_a_question_is_asked_with_its_context(tmp_path: Path, row: dict, tokenizer) -> None:
    (item,) = read(tmp_path, "domain_test", row)
    assert (item.system, item.history, item.question, item.output) == (
        "S",
        (("Q1", "A1"),),
        "Q2",
        "A2",
    )
    asked = [(turn.role, turn.content) for turn in item.prompt_messages()]
    assert asked == [("system", "S"), ("user", "Q1"), ("assistant", "A1"), ("user", "Q2")]
    assert all(text in item.prompt for text in ("S", "Q1", "A1", "Q2"))
    # What comes before the answer in training is what is asked; the context is not trained on.
    [tokens] = tokenize_conversations([item], tokenizer)
    prompt = ChatFormat(tokenizer).prompt(item.prompt_messages())
    assert tokens.input_ids.tolist()[: len(prompt)] == prompt
    assert set(tokens.labels.tolist()[: len(prompt)]) == {IGNORED_LABEL}
    [scored] = reference_likelihood._sequences(tokenizer, [item], 1_000)
    assert scored.prompt == prompt
    path = stored(tmp_path, "domain_test", item)
    assert read_rows(DatasetRef(path=str(path), kind="domain_test"), DomainItem) == [item]


def test_a_table_has_the_context_in_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    row = 'Q2,A2,S,"[[""Q1"", ""A1""]]"'
    path.write_text(f"question,answer,system,history\n{row}\n")
    (item,) = scan_rows(path, Reading(kind="domain_test"))
    assert (item.system, item.history, item.meta) == ("S", (("Q1", "A1"),), {})


def test_versions_from_before_turns_had_weights_and_questions_context_are_read(
    tmp_path: Path,
) -> None:
    text = pa.string()
    turn = pa.struct([("role", text), ("content", text)])
    ends = [("source", text), ("license", text), ("meta", text)]
    common = {"id": "a", "lang": "en", "source": "", "license": "", "meta": "{}"}
    turns = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    cases = {
        "conversations": ([("messages", pa.list_(turn))], {"messages": turns}),
        "domain_test": (
            [("instruction", text), ("input", text), ("output", text)],
            {"instruction": "Q", "input": "", "output": "A"},
        ),
        "multiple_choice": (
            [("question", text), ("choices", pa.list_(text)), ("answer", pa.int64())],
            {"question": "Q", "choices": ["x", "y"], "answer": 1},
        ),
    }
    for kind, (fields, row) in cases.items():
        path = tmp_path / f"{kind}.parquet"
        schema = pa.schema([("id", text), ("lang", text), *fields, *ends])
        pq.write_table(pa.Table.from_pylist([{**common, **row}], schema=schema), path)
        (record,) = scan_rows(path, Reading(kind=kind))
        assert not isinstance(record, RowError), record

"""Keys of JSON objects have the same other names as columns."""

import json
from pathlib import Path

import pytest

from pipeline.data.field_names import named_fields
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading

QUESTION, ANSWER = "什么是国有资本？", "国家投入的资本。"


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@pytest.mark.parametrize(
    ("keys", "fields"),
    [
        ("prompt response", "instruction output"),
        ("prompt completion", "instruction output"),
        ("question answer", "instruction output"),
        ("问题 答案", "instruction output"),
        ("q a", "instruction output"),
        ("input output", "instruction output"),  # DISC-LawLLM
        ("input target kind", "instruction output meta"),  # Firefly
        ("instruction input answer", "instruction input output"),  # LexEval
        ("instruction question answer", "instruction input output"),  # LawBench
        ("input output reference", "instruction output meta"),  # DISC-LawLLM, with sources
        ("instruction context response category", "instruction input output meta"),  # Dolly
        ("instruction input output context", "instruction input output meta"),  # as before
        ("instruction output question", "instruction output meta"),
    ],
)
def test_other_names_of_a_question_and_its_answer(keys, fields, name, tmp_path: Path) -> None:
    row = {key: f"{key}的内容" for key in keys.split()}
    (tmp_path / name).write_text(json.dumps([row] if name == "a.json" else row), encoding="utf-8")
    (record,) = scan_rows(tmp_path / name, Reading(kind="domain_test"))
    found = {"instruction": record.instruction, "output": record.output, "input": record.input}
    for key, field in zip(keys.split(), fields.split(), strict=True):
        assert (record.meta[key] if field == "meta" else found[field]) == row[key]


@pytest.mark.parametrize(
    ("kind", "keys", "names"),
    [
        ("corpus", "标题 content", {"标题": "title", "content": "text"}),
        ("corpus", "text content", {}),
        ("conversations", "messages question answer", {}),
        ("conversations", "conversations id", {}),
        ("conversations", "问题 回答", {"问题": "instruction", "回答": "output"}),
        ("multiple_choice", "question A B answer 答案", {}),
        ("multiple_choice", "题干 options 正确答案", {
            "题干": "question", "options": "choices", "正确答案": "answer"}),
        ("domain_test", "question query answer", {"answer": "output"}),
        ("domain_test", "a 题目", {"题目": "instruction"}),
    ],
)  # fmt: skip
def test_fields_of_a_kind_go_before_other_names(kind, keys, names) -> None:
    assert named_fields(keys.split(), kind) == names


def test_what_a_person_says_goes_before_other_names(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"question": "甲", "query": "丙", "answer": "乙"}\n', encoding="utf-8")
    mapping = {"query": "meta.query"}
    (record,) = scan_rows(path, Reading(kind="domain_test", columns=mapping))
    assert (record.instruction, record.output, record.meta) == ("甲", "乙", {"query": "丙"})

"""Preferences, tool calls and pictures end an import as a whole, with one sentence."""

import json
from pathlib import Path

import pytest

from pipeline.contracts.row_errors import RowError
from pipeline.data.error_tally import ErrorTally
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading

GOOD = {"instruction": "Q", "output": "A"}
USER = {"role": "user", "content": "Q"}
ASSISTANT = {"role": "assistant", "content": "A"}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
PICTURE = [{"type": "text", "text": "Q"}, {"type": "image_url", "image_url": {"url": "u"}}]
ROWS = {
    "preference": [
        {"instruction": "Q", "chosen": "A", "rejected": "B"},
        {"conversations": [{"from": "human", "value": "Q"}], "chosen": {}, "rejected": {}},
        {"prompt": "Q", "chosen": [USER, ASSISTANT], "rejected": [USER, ASSISTANT]},
        {"input": {}, "preferred_output": [ASSISTANT], "non_preferred_output": [ASSISTANT]},
        {"instruction": "Q", "output": ["A", "B"]},
        {"prompt": "Q", "response_0": "A", "response_1": "B", "better_response_id": 0},
        {"messages": [USER, ASSISTANT], "label": False},
        {**GOOD, "label": True},
        {**GOOD, "kto_tag": False},
    ],
    "tools": [
        {"messages": [USER, CALL, {"role": "tool", "content": "{}"}, ASSISTANT]},
        {"messages": [USER, ASSISTANT], "tools": [{"name": "f"}]},
        {
            "conversations": [
                {"from": "human", "value": "Q"},
                {"from": "function_call", "value": "{}"},
            ]
        },
        {"conversations": [{"from": "observation", "value": "{}"}], "tools": "[]"},
        {"messages": [USER, {"role": "assistant", "content": [{"type": "tool_use", "id": "1"}]}]},
    ],
    "media": [
        {"messages": [{"role": "user", "content": PICTURE}, ASSISTANT]},
        {"messages": [{"role": "user", "content": "<image>Q"}, ASSISTANT], "images": ["a.png"]},
        {"conversations": [{"from": "human", "value": "<image>"}], "image": "a.png"},
    ],
}
CASES = [(layout, row) for layout, rows in ROWS.items() for row in rows]


def scan(path: Path, rows: list, kind: str) -> list:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return list(scan_rows(path, Reading(kind=kind)))


@pytest.mark.parametrize(("layout", "row"), CASES)
def test_one_such_row_forbids_a_version_of_the_others(tmp_path: Path, layout: str, row) -> None:
    for kind in ("conversations", "domain_test"):
        *records, error = scan(tmp_path / "a.jsonl", [GOOD, row, GOOD, row], kind)
        assert len(records) == 2
        assert not any(isinstance(record, RowError) for record in records)
        assert (error.code, error.line) == (f"file.layout_{layout}", 2)
        assert error.params == {"count": 2, "lines": "2, 4"}
        tally = ErrorTally()
        tally.add(error)
        assert tally.forbids_version
        assert tally.has_file_error


def test_what_only_looks_like_it_is_kept(tmp_path: Path) -> None:
    rows = [
        {**GOOD, "label": "\u6cd5\u5f8b"},
        {**GOOD, "label": 3},
        {**GOOD, "label": 0},
        {**GOOD, "tools": "[]"},
        {**GOOD, "tools": ""},
        {**GOOD, "image": "scan-17.png"},
        {**GOOD, "kto_tag": None},
        {**GOOD, "chosen": "yes"},
    ]
    records = scan(tmp_path / "a.jsonl", rows, "conversations")
    assert not any(isinstance(record, RowError) for record in records)
    assert records[0].meta == {"label": "\u6cd5\u5f8b"}


def test_a_label_of_0_and_1_alone_is_a_preference(tmp_path: Path) -> None:
    rows = [{**GOOD, "label": number % 2} for number in range(4)]
    *_records, error = scan(tmp_path / "a.jsonl", rows, "conversations")
    assert (error.code, error.params["count"]) == ("file.layout_preference", 4)


def test_columns_of_better_and_worse_answers_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for header in (
        "prompt,chosen,rejected",
        "\u95ee\u9898,\u4f18\u9009\u56de\u7b54,\u62d2\u7edd\u56de\u7b54",
    ):
        path.write_text(f"{header}\nQ,A,B\n", encoding="utf-8")
        (error,) = scan_rows(path, Reading(kind="conversations"))
        assert error.code == "header.preference"


def test_a_label_in_a_table_is_one_too(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("instruction,output,label\nQ,A,True\nQ,B,False\n")
    (error,) = scan_rows(path, Reading(kind="conversations"))
    assert (error.code, error.params["count"]) == ("file.layout_preference", 2)

"""LLaMA-Factory's dataset_info.json says how the files beside it are read."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.contracts.references import DatasetRef
from pipeline.data.datasets import read_rows
from pipeline.data.records import Conversation
from pipeline.execution import RecipeResult, RunContext
from tests.ml.benchmark_files import write_zip
from tests.ml.test_file_sets import errors_of, imported

INFO: dict[str, Any] = {
    "exam": {
        "file_name": "exam.json",
        "columns": {"prompt": "题", "response": "解", "history": "前文"},
    },
    "talks": {
        "file_name": "talks/all.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "dialog", "system": "rules"},
        "tags": {
            "role_tag": "who", "content_tag": "text", "user_tag": "客户", "assistant_tag": "客服",
            "system_tag": "系统",
        },
    },
    "choices": {"file_name": "dpo.json", "ranking": True},
    "tools": {"file_name": "tools.json", "formatting": "sharegpt", "columns": {"tools": "t"}},
    "gone": {"file_name": "gone.json"},
    "hub": {"hf_hub_url": "somebody/something"},
}  # fmt: skip
EXAM = [{"题": "几年？", "解": "三年。", "前文": [["在吗", "在"]], "output": "编者注"}]
TALK = {
    "rules": "守法",
    "dialog": [{"who": "客户", "text": "问"}, {"who": "客服", "text": "答", "weight": 0},
               {"who": "客户", "text": "再问"}, {"who": "客服", "text": "再答"}],
}  # fmt: skip


def files(info: object = INFO) -> dict[str, str]:
    return {
        "data/dataset_info.json": json.dumps(info, ensure_ascii=False),
        "data/exam.json": json.dumps(EXAM, ensure_ascii=False),
        "data/talks/all.jsonl": "\n".join([json.dumps(TALK, ensure_ascii=False)] * 2),
        "data/dpo.json": json.dumps(EXAM, ensure_ascii=False),
        "data/tools.json": json.dumps(EXAM, ensure_ascii=False),
    }


def rows_of(result: RecipeResult) -> dict[str, Conversation]:
    ref = DatasetRef(path=str(result.outputs["dataset"]), kind="conversations")
    return {row.messages[-1].content: row for row in read_rows(ref, Conversation)}


def test_its_columns_and_tags_are_applied(tmp_path: Path, context: RunContext) -> None:
    result = imported(write_zip(tmp_path / "a.zip", files()), context, "conversations")
    rows = rows_of(result)
    assert [(turn.role, turn.content) for turn in rows["三年。"].messages] == [
        ("user", "在吗"), ("assistant", "在"), ("user", "几年？"), ("assistant", "三年。"),
    ]  # fmt: skip
    assert rows["三年。"].meta["output"] == "编者注"
    talk = rows["再答"].messages
    assert [(turn.role, turn.content, turn.weight) for turn in talk if turn.role != "user"] == [
        ("system", "守法", 1), ("assistant", "答", 0), ("assistant", "再答", 1),
    ]  # fmt: skip
    assert {(error["file"], error["code"], json.loads(error["params"])["entry"])
            for error in errors_of(result)} == {
        ("data/dpo.json", "file.info_layout", "choices"),
        ("data/tools.json", "file.info_layout", "tools"),
    }  # fmt: skip
    assert result.results.source.not_read == ("data/dataset_info.json: gone (gone.json)",)
    assert result.results.num_rows == 3


def test_a_damaged_one_is_told_and_that_of_another_library_is_not_read(
    tmp_path: Path, context: RunContext
) -> None:
    broken = {**files(), "data/dataset_info.json": '{"a": '}
    result = imported(write_zip(tmp_path / "a.zip", broken), context, "conversations")
    (error,) = pq.read_table(result.outputs["errors"]).to_pylist()
    assert error["code"] == "file.info_damaged"
    saved = {"builder_name": "json", "features": {"题": {"dtype": "string", "_type": "Value"}}}
    members = {name: text for name, text in files(saved).items() if "talks" not in name}
    result = imported(write_zip(tmp_path / "b.zip", members), context, "domain_test")
    assert "data/dataset_info.json" in result.results.source.not_read

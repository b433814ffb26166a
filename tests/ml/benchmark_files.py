"""Small files in the true layouts of known benchmarks, with questions made up for these tests."""

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()


def json_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


LETTERS = ("A", "B", "C", "D")
CEVAL_DEV = csv_text(
    [
        ["id", "question", *LETTERS, "answer", "explanation"],
        [0, "示例题____", "甲", "乙", "丙", "丁", "B", "1. 因为,所以"],
    ]
)
CEVAL_VAL = csv_text(
    [
        ["id", "question", *LETTERS, "answer"],
        [0, "国有资本由谁出资____", "国家", "个人", "外商", "集体", "A"],
        [1, "章程由谁审议,\n并批准____", "部门", "股东会", "工会", "食堂", "B"],
    ]
)
CEVAL_TEST = csv_text(
    [
        ["id", "question", *LETTERS],
        [0, "没有答案的题____", "甲", "乙", "丙", "丁"],
        [1, "又一道____", "甲", "乙", "丙", "丁"],
    ]
)
CMMLU = csv_text(
    [
        ["", "Question", *LETTERS, "Answer"],
        [0, "水稻属于", "谷物", "豆类", "薯类", "油料", "A"],
        [1, "茶叶属于", "粮食", "饮料作物", "纤维", "药材", "B"],
    ]
)
MMLU_BARE = csv_text(
    [
        ["What is 2 + 3, if anything?", "4", "5", "6", "7", "B"],
        ["Who keeps the ledger?", "Nobody", "The clerk", "The cook", "The king", "B"],
    ]
)
MMLU_HEADER = csv_text([["question", *LETTERS, "answer"], ["Which is even?", 1, 2, 3, 5, "B"]])
ARC_AI2 = json_lines(
    [
        {
            "id": "Made_Up_1",
            "question": {
                "stem": "Which one melts first?",
                "choices": [
                    {"text": "ice", "label": "A"},
                    {"text": "iron", "label": "B"},
                    {"text": "glass", "label": "C"},
                ],
            },
            "answerKey": "A",
        },
        {
            "id": "Made_Up_2",
            "question": {
                "stem": "Which one floats?",
                "choices": [
                    {"text": "stone", "label": "1"},
                    {"text": "cork", "label": "2"},
                    {"text": "lead", "label": "3"},
                    {"text": "brick", "label": "4"},
                ],
            },
            "answerKey": "2",
        },
    ]
)
ARC_HUB_ROWS = [
    {
        "id": "Made_Up_1",
        "question": "Which one melts first?",
        "choices": {"text": ["ice", "iron", "glass"], "label": ["A", "B", "C"]},
        "answerKey": "A",
    },
    {
        "id": "Made_Up_2",
        "question": "Which one floats?",
        "choices": {
            "text": ["stone", "cork", "lead", "brick"],
            "label": ["1", "2", "3", "4"],
        },
        "answerKey": "2",
    },
]
HELLASWAG = json_lines(
    [
        {
            "ind": 7,
            "activity_label": "Painting a fence",
            "ctx_a": "A man opens a can.",
            "ctx_b": "he",
            "ctx": "A man opens a can. he",
            "split": "val",
            "split_type": "indomain",
            "label": 2,
            "endings": ["eats the fence.", "flies off.", "stirs the paint.", "sleeps."],
            "source_id": "made~up",
        },
        {
            "ind": 9,
            "activity_label": "Family Life",
            "ctx_a": "[header] How to fold paper [title] Take a sheet. [step] Use both hands.",
            "ctx_b": "",
            "ctx": "[header] How to fold paper [title] Take a sheet. [step] Use both hands.",
            "split": "val",
            "split_type": "zeroshot",
            "label": 0,
            "endings": ["Fold it once. [substeps] Press.", "Burn it.", "Sell it.", "Eat it."],
            "source_id": "made~up",
        },
    ]
)
HELLASWAG_TEST = json_lines(
    [
        {
            "ind": 14,
            "activity_label": "Rowing",
            "ctx_a": "A boat waits.",
            "ctx_b": "two people",
            "ctx": "A boat waits. two people",
            "split": "test",
            "split_type": "indomain",
            "endings": ["row.", "sing.", "cook.", "read."],
            "source_id": "made~up",
        }
    ]
)
PIQA = json_lines(
    [
        {
            "goal": "How do I keep paper flat?",
            "sol1": "Put a book on it.",
            "sol2": "Put it under a tap. ",
            "label": 0,
        },
        {"goal": "ruler", "sol1": "boils water", "sol2": "draws a straight line", "label": "1"},
    ]
)
PIQA_OF_AUTHORS = json_lines([{"goal": "ruler", "sol1": "boils water", "sol2": "draws a line"}])
AGIEVAL_CHOICES = json_lines(
    [
        {
            "passage": "Three clerks share two desks.",
            "question": "How many must stand?",
            "options": ["(A)none", "(B)one", "(C)two", "(D)three", "(E)all"],
            "label": "B",
            "answer": None,
            "other": None,
        },
        {
            "passage": None,
            "question": "下列正确的是",
            "options": ["(A)一", "(B)二", "(C)三", "(D)四"],
            "label": ["C"],
            "answer": None,
            "other": {"source": "自拟"},
        },
        {
            "passage": None,
            "question": "下列正确的有",
            "options": ["(A)一", "(B)二", "(C)三", "(D)四"],
            "label": ["A", "D"],
            "answer": None,
            "other": None,
        },
    ]
)
AGIEVAL_CLOZE = json_lines(
    [
        {
            "passage": None,
            "question": "若 $x+1=3$，则 $x=$",
            "options": None,
            "label": None,
            "answer": "2",
            "other": None,
        }
    ]
)
GSM8K = json_lines(
    [
        {
            "question": "Li has 3 files and gets 4 more. How many are there?",
            "answer": "Li has 3 + 4 = <<3+4=7>>7 files.\n#### 7",
        },
        {
            "question": "A desk costs 1,200 and a chair 300. What do both cost?",
            "answer": "Both cost 1200 + 300 = <<1200+300=1500>>1500.\n#### 1,500",
        },
    ]
)
LAWBENCH = json.dumps(
    [
        {
            "instruction": "请回答咨询的问题。",
            "question": "合同何时成立?",
            "answer": "承诺生效时合同成立。",
        },
        {"instruction": "请背诵第一条。", "question": "", "answer": "第一条内容。"},
    ],
    ensure_ascii=False,
    indent=2,
)


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8", newline="")
    return path


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def write_zip(path: Path, files: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path

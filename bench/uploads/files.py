"""Large files of questions and answers: the same rows in every format, decided by a seed."""

import csv
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.uploads.workbooks import write_workbook

WORDS = (
    "国有资产", "监督管理", "企业", "董事会", "出资人", "职责", "履行", "的", "和",
    "应当", "依法", "审计", "财务", "报告", "年度", "预算", "决定", "重大",
    "事项", "投资", "风险", "控制", "公司", "治理", "改革", "发展", "利润",
    "收入", "成本", "责任", "制度", "规定", "办法", "实施", "部门", "机构",
    "负责", "工作", "经营", "目标", "考核", "结果", "员工", "社会", "经济",
    "市场", "主要", "情况", "进行", "提出", "问题", "建议", "是否", "如何",
    "什么", "为了", "根据", "以及", "对于", "关于", "加强", "建立", "完善",
    "提高", "保值", "增值",
)  # fmt: skip
"""Ordinary Chinese, by which a program can tell an encoding."""
QUESTION, ANSWER = 13, 35
"""Words; of two characters or a little more."""
FIRST_WRONG = 10
WRONG_EVERY = 1_000
"""Every so many rows, from row `FIRST_WRONG` on, the answer is empty."""
HEADER = ("编号", "问题", "答案", "来源", "主题")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One question."""

    id: str
    question: str
    answer: str
    source: str
    topic: str


def rows(count: int, *, seed: int) -> Iterator[Row]:
    """The rows, from the first on."""
    chance = random.Random(seed)
    for number in range(1, count + 1):
        question = "".join(chance.choices(WORDS, k=QUESTION)) + "？"
        answer = "".join(chance.choices(WORDS, k=ANSWER)) + "。"
        yield Row(
            id=f"soae-{number:07d}",
            question=question,
            answer="" if is_wrong(number) else answer,
            source="审计部",
            topic=f"主题{number % 20}",
        )


def is_wrong(number: int) -> bool:
    """Whether the row of that number has no answer."""
    return number % WRONG_EVERY == FIRST_WRONG


def write_json_lines(path: Path, count: int, *, seed: int) -> None:
    """Native field names; about 450 bytes a row."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows(count, seed=seed):
            fields = {
                "id": row.id,
                "instruction": row.question,
                "input": "",
                "output": row.answer,
                "source": row.source,
                "topic": row.topic,
            }
            file.write(json.dumps(fields, ensure_ascii=False) + "\n")


def write_csv(path: Path, count: int, *, seed: int) -> None:
    """Chinese header in GB18030, lines that end as Excel ends them."""
    with path.open("w", encoding="gb18030", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for row in rows(count, seed=seed):
            writer.writerow((row.id, row.question, row.answer, row.source, row.topic))


def write_xlsx(path: Path, count: int, *, seed: int) -> None:
    """One sheet with shared strings, as Excel writes it."""
    table = ((r.id, r.question, r.answer, r.source, r.topic) for r in rows(count, seed=seed))
    write_workbook(path, HEADER, table)


class Writer(Protocol):
    """Writes a file of `count` rows."""

    def __call__(self, path: Path, count: int, *, seed: int) -> None: ...


WRITERS: Mapping[str, Writer] = {
    "jsonl": write_json_lines,
    "csv": write_csv,
    "xlsx": write_xlsx,
}
"""By suffix."""

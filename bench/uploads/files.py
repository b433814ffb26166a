"""Large files of questions and answers: the same rows in every format, decided by a seed."""

import csv
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.uploads.workbooks import write_workbook

NUM_CHARACTERS = 2_000
QUESTION, ANSWER = 30, 80
"""Characters."""
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
    alphabet = [chr(0x4E00 + code) for code in range(NUM_CHARACTERS)]
    for number in range(1, count + 1):
        question = "".join(chance.choices(alphabet, k=QUESTION)) + "？"
        answer = "".join(chance.choices(alphabet, k=ANSWER)) + "。"
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

"""The rival: a table read whole by pandas, and a pydantic model for each of its rows.

It is told format, encoding and the meaning of the columns, and checks less: types, empty texts and
repeated ids. Valid rows go to one Parquet file and rejected ones, with their reason, to another.
"""

import time
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, Field, ValidationError

from bench.uploads.files import HEADER
from bench.uploads.measured import Measured, measured

FIELDS = ("id", "instruction", "output", "source", "topic")


class _Question(BaseModel):
    id: str = Field(min_length=1)
    instruction: str = Field(min_length=1)
    input: str = ""
    output: str = Field(min_length=1)
    source: str = ""
    topic: str = ""


def imported(path: Path, directory: Path) -> Measured:
    """The file has become Parquet in `directory`."""

    def work(began: float) -> tuple[int, int, float | None]:
        frame = _frame(path)
        rows, rejected = [], []
        seen: set[str] = set()
        first_error_seconds = None
        for number, fields in enumerate(frame.to_dict("records"), start=1):
            reason = ""
            try:
                row = _Question.model_validate(fields)
            except ValidationError as exc:
                reason = exc.errors(include_url=False)[0]["type"]
            else:
                if row.id not in seen:
                    seen.add(row.id)
                    rows.append(row.model_dump())
                    continue
                reason = "repeated id"
            first_error_seconds = first_error_seconds or time.perf_counter() - began
            rejected.append({"row": number, "reason": reason, **fields})
        pd.DataFrame(rows).to_parquet(directory / "rows.parquet", compression="zstd")
        if rejected:
            pd.DataFrame(rejected).to_parquet(directory / "errors.parquet", compression="zstd")
        return len(rows), len(rejected), first_error_seconds

    return measured(work)


def _frame(path: Path) -> pd.DataFrame:
    if path.suffix == ".jsonl":
        return pd.read_json(path, lines=True, dtype=False)
    names = dict(zip(HEADER, FIELDS, strict=True))
    if path.suffix == ".csv":
        frame = pd.read_csv(path, encoding="gb18030", dtype=str, keep_default_na=False)
    else:
        frame = pd.read_excel(path, engine="calamine", dtype=str, keep_default_na=False)
    return frame.rename(columns=names)

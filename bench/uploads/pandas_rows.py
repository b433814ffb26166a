"""The rival: a table read whole by pandas, and a pydantic model for each of its rows.

It is told format, encoding and the meaning of the columns. `imported` makes the columns of a version
and looks for damaged texts, `imported_lean` only for types, empty texts and repeated ids. Valid rows go to one Parquet file and rejected ones, with their reason, to another.
"""

import json
import re
import time
from pathlib import Path
from typing import Self

import pandas as pd
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from bench.uploads.files import HEADER
from bench.uploads.measured import Measured, measured

DAMAGE = re.compile("[\x00\ufffd\ud800-\udfff]|\u951f\u65a4\u62f7|\u00ef\u00bf\u00bd")
HAN = re.compile("[\u4e00-\u9fff]")
FIELDS = ("id", "instruction", "output", "source", "topic")


class _Question(BaseModel):
    id: str = Field(min_length=1)
    instruction: str = Field(min_length=1)
    input: str = ""
    output: str = Field(min_length=1)
    source: str = ""


class _LeanQuestion(_Question):
    topic: str = ""


class _Record(_Question):
    """The columns of a version, with the checks of texts that an import makes."""

    lang: str = ""
    license: str = ""
    meta: str = "{}"

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, fields: dict[str, str]) -> dict[str, str]:
        others = {name: value for name, value in fields.items() if name not in cls.model_fields}
        return {**fields, "meta": json.dumps(others, ensure_ascii=False)}

    @field_validator("id", "instruction", "input", "output", "source")
    @classmethod
    def _undamaged(cls, text: str) -> str:
        if DAMAGE.search(text):
            raise ValueError("damaged text")
        return text

    @model_validator(mode="after")
    def _in_a_language(self) -> Self:
        sample = (self.instruction + self.output)[:400]
        self.lang = "zh" if 10 * len(HAN.findall(sample)) >= len(sample) else "en"
        return self


def imported(path: Path, directory: Path) -> Measured:
    """The file has become Parquet in `directory`, with the columns of a version."""
    return _imported(path, directory, _Record)


def imported_lean(path: Path, directory: Path) -> Measured:
    """The file has become Parquet in `directory`; texts are not looked at, but for empty ones."""
    return _imported(path, directory, _LeanQuestion)


def _imported(path: Path, directory: Path, model: type[_Question]) -> Measured:
    def work(began: float) -> tuple[int, int, float | None]:
        frame = _frame(path)
        rows, rejected = [], []
        seen: set[str] = set()
        first_error_seconds = None
        for number, fields in enumerate(frame.to_dict("records"), start=1):
            reason = ""
            try:
                row = model.model_validate(fields)
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

"""Flags: why a row should be looked at before training, and the file that holds them."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from pipeline.contracts.quality_checks import CheckCode
from pipeline.data.version_files import GroupedWriter, storable

FLAG_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("id", pa.string()),
        ("check", pa.string()),
        ("score", pa.float64()),
        ("params", pa.string()),
    ]
)
"""`row` is the row's index in the version, from 0; `params` a JSON object with the evidence."""
MAX_EXCERPT = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag:
    """One reason to look at one row."""

    row: int
    """Index in the version, from 0."""
    id: str
    check: CheckCode
    score: float
    """How strong the evidence is, in the check's own unit (`docs/data_quality.md`)."""
    params: dict[str, str | int | float] = field(default_factory=dict)
    """What fills the reason's words."""


class FlagWriter(GroupedWriter):
    """`flags.parquet`, with the numbers of rows by check."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, FLAG_SCHEMA)
        self.num_by_check: Counter[CheckCode] = Counter()
        self._flagged = bytearray()
        """One byte a row: whether it has a flag."""

    @property
    def num_flagged_rows(self) -> int:
        """Rows with a flag or several."""
        return sum(self._flagged)

    def append(self, flag: Flag) -> None:
        """The flag will be the file's next row."""
        missing = flag.row + 1 - len(self._flagged)
        if missing > 0:
            self._flagged.extend(bytes(missing))
        self._flagged[flag.row] = 1
        self.num_by_check[flag.check] += 1
        params = storable(json.dumps(flag.params, ensure_ascii=False))
        row = (flag.row, storable(flag.id), flag.check, flag.score, params)
        self._append(row, len(params) + len(flag.id) + 50)


def excerpt(text: str, start: int = 0) -> str:
    """At most 80 characters of the text from `start` on, on one line."""
    cut = text[start : start + MAX_EXCERPT]
    return " ".join(cut.split()) + ("..." if len(text) > start + MAX_EXCERPT else "")

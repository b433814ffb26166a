"""Rows that an earlier call measured, kept in `var/bench/` while the code they measure is the same.

Thousands of simulations of each row take minutes; a call that was stopped goes on where it was.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

ROOT = Path(__file__).resolve().parents[2]
_SOURCES = ("pipeline/metrics", "pipeline/contracts", "bench/planted")

Row = dict[str, JsonValue]


def _digest(name: str) -> str:
    """Of everything that a row depends on, but for its own numbers."""
    paths = [path for folder in _SOURCES for path in sorted((ROOT / folder).glob("*.py"))]
    content = [path.read_bytes() for path in (*paths, ROOT / f"bench/{name}.py")]
    return hashlib.sha256(b"\0".join(content)).hexdigest()


@dataclass(frozen=True, slots=True)
class Records:
    """The rows of one benchmark."""

    name: str

    @property
    def path(self) -> Path:
        return ROOT / "var" / "bench" / f"{self.name}.jsonl"

    def row(self, key: str, measure: Callable[[], Row]) -> Row:
        """The row recorded under the key for the code as it is, or measured now and recorded."""
        full_key = f"{_digest(self.name)} {key}"
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                record = json.loads(line)
                if record["key"] == full_key:
                    return dict(record["row"])
        row = measure()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": full_key, "row": row}) + "\n")
        return row

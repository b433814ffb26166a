"""Both corpora, and each file held against what is right."""

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.uploads import (
    clean_books,
    clean_json,
    clean_tables,
    hostile_books,
    hostile_bytes,
    hostile_json,
    hostile_sets,
    hostile_tables,
)
from bench.uploads.cases import Case
from bench.uploads.judge import Finding

ROOT = Path(__file__).resolve().parents[2]
SECONDS, PEAK_MIB = 5.0, 300.0
"""That one file may take."""
CORPORA = {
    "clean": (clean_tables, clean_json, clean_books),
    "hostile": (hostile_bytes, hostile_json, hostile_tables, hostile_books, hostile_sets),
}


def cases_of(corpus: str, *, part: int = 1) -> list[Case]:
    """The corpus, or a fixed `part`-th of its small files."""
    found = [case for module in CORPORA[corpus] for case in module.cases()]
    if len({case.name for case in found}) != len(found):
        names = [case.name for case in found]
        raise ValueError(f"names twice: {sorted({n for n in names if names.count(n) > 1})}")
    if part == 1:
        return found
    return [c for c in found if not c.is_large and zlib.crc32(c.name.encode()) % part == 0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """One file and what is wrong with what came of it."""

    case: Case
    finding: Finding
    fault: str
    """`accepted`, `refused`, `told otherwise`, `crash`, `time`, `memory`, or nothing."""

    @classmethod
    def of(cls, case: Case, finding: Finding) -> Self:
        """What came of the case, judged."""
        return cls(case=case, finding=finding, fault=_fault(case, finding))

    def __str__(self) -> str:
        rows = [{k: v for k, v in row.items() if v} for row in self.finding.rows[:3]]
        return (
            f"{self.case.name}: {self.fault}; {len(self.finding.rows)} rows, {rows}, "
            f"{self.finding.codes[:5]}, {self.finding.crash} {self.finding.seconds:.1f} s, "
            f"{self.finding.peak_mib:.0f} MiB"
        )[:600]


def verdicts(cases: Sequence[Case], directory: Path) -> Iterator[Verdict]:
    """What came of each case; the files are written into the directory."""
    for case in cases:
        case.write(directory / case.name)
    asked = [
        json.dumps({"file": c.name, "dataset_kind": c.kind, "options": dict(c.options)})
        for c in cases
    ]
    found = subprocess.run(  # noqa: S603 (our own program, no shell)
        [sys.executable, "-m", "bench.uploads.judge", str(directory)],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        input="\n".join(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = found.stdout.split("\n")[:-1]
    for case, line in zip(cases, lines, strict=True):
        finding = Finding(**json.loads(line))
        yield Verdict.of(case, finding)


def _fault(case: Case, finding: Finding) -> str:
    if finding.crash:
        return "crash"
    if finding.peak_mib > PEAK_MIB:
        return "memory"
    if finding.seconds > SECONDS:
        return "time"
    met = [outcome.is_met_by(finding.rows, finding.codes) for outcome in case.outcomes]
    if not case.outcomes or any(met):
        return ""
    best = max(case.outcomes, key=lambda outcome: len(outcome.rows))
    if len(finding.rows) < len(best.rows):
        return "refused"
    only_rows = [outcome.has_rows(finding.rows) for outcome in case.outcomes]
    return "told otherwise" if any(only_rows) else "accepted"


def counted(verdicts: Sequence[Verdict]) -> Mapping[str, int]:
    """Files by fault."""
    faults = ("accepted", "refused", "told otherwise", "crash", "time", "memory")
    return {fault: sum(each.fault == fault for each in verdicts) for fault in faults}

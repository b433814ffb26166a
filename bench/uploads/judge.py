"""Imports files one after another, each in a process of its own, and says what came of them.

    python -m bench.uploads.judge DIRECTORY < cases      one line of JSON for each

A case is a line of JSON: `file` in the directory, `dataset_kind` and `options` of the reading. This
process has loaded what an import needs and does nothing itself, so that what it forks has the
memory of a program that has just started.
"""

import json
import os
import resource
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import JsonValue

from pipeline.contracts.events import Payload
from pipeline.contracts.import_specs import ImportDatasetSpec
from pipeline.execution import RunContext
from pipeline.recipes import import_dataset

PROCESSOR_SECONDS = 30
"""After which the kernel ends a case."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What came of one file."""

    file: str
    crash: str = ""
    """Why the import ended with neither a version nor a report."""
    rows: list[dict[str, JsonValue]] = field(default_factory=list)
    """Of the version, if there is one."""
    codes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    """Of processor time, with that of processes it started."""
    peak_mib: float = 0.0


class _Unheard:
    def emit(self, payload: Payload) -> None:
        pass


def main(directory: Path) -> None:
    """Prints a finding for each case on standard input."""
    # The first value that pyarrow makes has it load pandas: once, not in every case.
    pa.scalar("")
    for line in sys.stdin:
        document = json.loads(line)
        print(json.dumps(asdict(_judged(directory, document)), ensure_ascii=False), flush=True)


def _judged(directory: Path, document: dict[str, JsonValue]) -> Finding:
    name = str(document["file"])
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        result = Path(scratch) / "finding.json"
        child = os.fork()
        if child == 0:
            status = 1
            try:
                limits = (PROCESSOR_SECONDS, PROCESSOR_SECONDS)
                resource.setrlimit(resource.RLIMIT_CPU, limits)
                finding = _imported(directory / name, document, Path(scratch) / "run")
                result.write_text(json.dumps(asdict(finding)), encoding="utf-8")
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        if not result.exists():
            return Finding(file=name, crash=f"the process ended with status {status}")
        return Finding(**json.loads(result.read_text(encoding="utf-8")))


def _imported(path: Path, document: dict[str, JsonValue], run_dir: Path) -> Finding:
    run_dir.mkdir()
    began = time.process_time()
    spec = ImportDatasetSpec.parse(
        json.dumps(
            {
                "kind": "import_dataset",
                "source": {"path": str(path)},
                "file_name": path.name,
                "dataset_kind": document["dataset_kind"],
                "policy": "valid_rows",
                **_object(document["options"]),
            }
        )
    )
    context = RunContext(run_dir=run_dir, spec_digest="0" * 64, events=_Unheard())
    crash, outputs = "", dict[str, Path]()
    try:
        outputs = import_dataset.run(spec, context).outputs
    except Exception as exc:  # noqa: BLE001 (whatever it is, it is a finding)
        crash = f"{type(exc).__name__}: {exc}"[:300]
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = time.process_time() - began + used[1].ru_utime + used[1].ru_stime
    finding = Finding(
        file=path.name,
        crash=crash,
        rows=_rows(outputs.get("dataset")),
        codes=_codes(outputs.get("errors")),
        seconds=seconds,
        peak_mib=max(each.ru_maxrss for each in used) / 1024,
    )
    shutil.rmtree(run_dir)
    return finding


def _object(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _rows(path: Path | None) -> list[dict[str, JsonValue]]:
    if path is None:
        return []
    rows: list[dict[str, JsonValue]] = pq.read_table(path).to_pylist()
    for row in rows:
        row["meta"] = json.loads(str(row["meta"]))
        turns = row.get("messages")
        if isinstance(
            turns, list
        ):  # fields that a turn does not have are no part of what is compared
            row["messages"] = [
                {name: value for name, value in _object(turn).items() if value is not None}
                for turn in turns
            ]
    return rows


def _codes(path: Path | None) -> list[str]:
    return [] if path is None else pq.read_table(path, columns=["code"])["code"].to_pylist()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

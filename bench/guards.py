"""Each condition that keeps the life of a run right is taken away, once each: a test must notice.

The guards are in `bench/mutations/guards.py`. Each is removed in a copy of the repository, where
the tests of the life of runs are run until one fails: on SQLite first, and those of callers at the
same moment on a PostgreSQL of their own. A guard that no test misses is a failure of the benchmark.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.mutations.guard import Guard
from bench.mutations.guards import GUARDS
from bench.protocol import Result, Table
from tests.supervision.postgres_server import database_url, postgres_server

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / "var" / "bench" / "guards.jsonl"
COPIED = (
    "bench", "examples", "pipeline", "platform", "templates", "tests", "workers", "manage.py",
    "pyproject.toml",
)  # fmt: skip
TESTS = tuple(
    f"tests/web/test_runs_{name}.py"
    for name in ("lifecycle", "plans", "constraints", "state_machine")
)
RACES = tuple(f"tests/web/test_runs_{name}.py" for name in ("plan_races", "races", "input_races"))
TIMEOUT_SECONDS = 240.0


def run(arguments: Sequence[str]) -> Result:
    """Which test missed each guard; what earlier calls found of unchanged modules counts."""
    parser = argparse.ArgumentParser(prog="python -m bench guards")
    parser.add_argument("--minutes", type=float, default=60.0, help="no guard is begun later")
    parser.add_argument("--anew", action="store_true", help="nothing found earlier counts")
    options = parser.parse_args(arguments)
    if options.anew:
        RECORDS.unlink(missing_ok=True)
    until = time.monotonic() + 60 * options.minutes
    known = _known()
    todo = [guard for guard in GUARDS if _key(guard) not in known]
    if todo and options.minutes > 0:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guards-")))
            url = database_url(stack.enter_context(postgres_server()))
            for name in COPIED:
                _copy(ROOT / name, folder / name)
            for guard in todo:
                if time.monotonic() > until:
                    break
                failed = known[_key(guard)] = _first_failure(guard, folder, url)
                _append(guard, failed)
                print(f"{guard.name}: {failed or 'no test failed'}", file=sys.stderr, flush=True)
    shown = [(guard, known[_key(guard)]) for guard in GUARDS if _key(guard) in known]
    rows = [[guard.name, guard.path.rsplit("/", 1)[-1], failed] for guard, failed in shown]
    return Result(
        table=Table(columns=["guard that was removed", "module", "test that failed"], rows=rows),
        figures={
            "num_guards": len(GUARDS),
            "num_removed": len(shown),
            "num_noticed": sum(failed != "" for _, failed in shown),
        },
        failures=[f"no test misses: {guard.name}" for guard, failed in shown if not failed],
    )


def _key(guard: Guard) -> str:
    """Changes with the module and with what is made of it."""
    module = (ROOT / guard.path).read_text(encoding="utf-8")
    return hashlib.sha256(f"{guard.removed_from(module)}\0{guard.name}".encode()).hexdigest()


def _known() -> dict[str, str]:
    """The test that failed, by guard, of earlier calls; where none did, it is tried again."""
    lines = RECORDS.read_text(encoding="utf-8").splitlines() if RECORDS.exists() else []
    records = [json.loads(line) for line in lines]
    return {str(record["key"]): str(record["failed"]) for record in records if record["failed"]}


def _append(guard: Guard, failed: str) -> None:
    RECORDS.parent.mkdir(parents=True, exist_ok=True)
    record = {"key": _key(guard), "name": guard.name, "failed": failed}
    with RECORDS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _first_failure(guard: Guard, folder: Path, url: str) -> str:
    """The test that fails without the guard; empty when all pass."""
    path = folder / guard.path
    whole = path.read_text(encoding="utf-8")
    path.write_text(guard.removed_from(whole), encoding="utf-8")
    try:
        found = "" if guard.is_race else _failing(TESTS, folder, "")
        return found or _failing(RACES, folder, url)
    finally:
        path.write_text(whole, encoding="utf-8")


def _failing(tests: Sequence[str], folder: Path, url: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    result = subprocess.run(  # noqa: S603 (our own tests)
        command, cwd=folder, env=os.environ | {"DATABASE_URL": url}, capture_output=True, text=True,
        check=False, timeout=TIMEOUT_SECONDS,
    )  # fmt: skip
    if result.returncode == 0:
        return ""
    found = re.search(r"^(?:FAILED|ERROR) tests/web/(\S+)", result.stdout, re.MULTILINE)
    if result.returncode != 1 or found is None:
        raise RuntimeError(f"the tests did not run:\n{result.stdout[-3000:]}\n{result.stderr}")
    return found[1]

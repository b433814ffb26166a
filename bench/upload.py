"""Importing a file of questions: ours beside a table of pandas with a pydantic model for each row.

The same rows as JSON Lines, as CSV in GB18030 and as a workbook, one in a thousand without an
answer; JSON Lines and CSV with ten times as many rows, too, to see what memory depends on. Each
import is a process of its own on one core, and the arms take turns. Ours is the whole of what an
upload does: digest, format, encoding, columns, every check, the version with its manifest, and
rejected rows as they were written. The rivals are told what the file is; `rival` makes the same
columns and refuses the same texts, `lean_rival` leaves out language, other columns and damage. Rows
per second of processor time, libraries loaded; memory is the most the process held, with libraries.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.protocol import Result, Table, paired_ratios, quartiles
from bench.uploads.files import WRITERS
from bench.uploads.measured import ARMS, Measured

ROOT = Path(__file__).resolve().parent.parent
ROWS = {"jsonl": 1_000_000, "csv": 1_000_000, "xlsx": 100_000}
SMALLER = 10
"""By so much is a file smaller that shows what memory depends on."""
FEWEST_PER_SECOND = {"jsonl": 20_000, "csv": 20_000, "xlsx": 10_000}
FIRST_ERROR_SECONDS = 3.0
ID_BYTES = 32
"""That memory may grow by for each row."""
SLACK_MIB = 24.0
"""That two runs on the same file may differ by."""
COLUMNS = (
    "file", "rows", "arm", "rows/s", "seconds to first error", "peak MiB", "ours / it"
)  # fmt: skip


def run(arguments: Sequence[str]) -> Result:
    """Every arm on every file."""
    options = _parser().parse_args(arguments)
    table: list[list[object]] = []
    figures: dict[str, float] = {}
    ratios: dict[str, float] = {}
    spread: dict[str, tuple[float, float]] = {}
    failures: list[str] = []
    for suffix in options.formats:
        most = max(SMALLER, ROWS[suffix] // options.divided_by)
        counts = [most] if suffix == "xlsx" else [most // SMALLER, most]
        peaks = []
        for count in counts:
            name = f"{suffix}_{count}"
            found = _in_turns(suffix, count, options)
            speeds = {arm: [_speed(each) for each in runs] for arm, runs in found.items()}
            for arm, runs in found.items():
                ratio = paired_ratios(speeds["ours"], speeds[arm])
                key = f"{name}_ours_vs_{arm}"
                if arm != "ours":
                    ratios[key], spread[key] = statistics.median(ratio), quartiles(ratio)
                speed = statistics.median(speeds[arm])
                first = statistics.median(each.first_error_seconds or 0.0 for each in runs)
                peak = max(each.peak_mib for each in runs)
                figures[f"{name}_{arm}_rows_per_second"] = speed
                figures[f"{name}_{arm}_first_error_seconds"] = first
                figures[f"{name}_{arm}_peak_mib"] = peak
                table.append(
                    [suffix, count, arm, round(speed), first, round(peak),
                     ratios.get(key, "")]
                )  # fmt: skip
            peaks.append(figures[f"{name}_ours_peak_mib"])
        if options.divided_by == 1:
            failures += _failures(suffix, counts, peaks, figures, ratios)
    return Result(
        table=Table(columns=COLUMNS, rows=table),
        figures=figures,
        ratios=ratios,
        spread=spread,
        failures=failures,
    )


def _failures(
    suffix: str,
    counts: Sequence[int],
    peaks: Sequence[float],
    figures: dict[str, float],
    ratios: dict[str, float],
) -> list[str]:
    failures = []
    for count in counts:
        name = f"{suffix}_{count}"
        speed = figures[f"{name}_ours_rows_per_second"]
        first = figures[f"{name}_ours_first_error_seconds"]
        if speed < FEWEST_PER_SECOND[suffix]:
            failures.append(f"{name}: {speed:.0f} rows/s, fewer than {FEWEST_PER_SECOND[suffix]}")
        if first > FIRST_ERROR_SECONDS:
            failures.append(f"{name}: the first error after {first:.1f} s")
        # A workbook's cells get the text a person sees, which pandas does not work out.
        if suffix != "xlsx" and ratios[f"{name}_ours_vs_rival"] < 1:
            failures.append(f"{name}: slower than the rival")
    allowed = (counts[-1] - counts[0]) * ID_BYTES / 2**20 + SLACK_MIB
    if peaks[-1] - peaks[0] > allowed:
        failures.append(f"{suffix}: memory grows by {peaks[-1] - peaks[0]:.0f} MiB with the rows")
    return failures


def _in_turns(suffix: str, count: int, options: argparse.Namespace) -> dict[str, list[Measured]]:
    with tempfile.TemporaryDirectory(dir=options.work) as directory:
        path = Path(directory) / f"questions.{suffix}"
        WRITERS[suffix](path, count, seed=options.seed)
        found: dict[str, list[Measured]] = {arm: [] for arm in ARMS}
        order = list(ARMS)
        for _ in range(options.repeats):
            for arm in order:
                found[arm].append(_measured(arm, path, count))
                print(f"{path.name}, {count}, {arm}: {found[arm][-1]}", file=sys.stderr)
            order = [*order[1:], order[0]]
    return found


def _measured(arm: str, path: Path, count: int) -> Measured:
    child = subprocess.run(  # noqa: S603 (our own program, no shell)
        [sys.executable, "-m", "bench.uploads.measured", arm, str(path)],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        raise RuntimeError(f"{arm} on {path.name} failed: {child.stderr[-2_000:]}")
    found = Measured(**json.loads(child.stdout.splitlines()[-1]))
    if found.num_rows + found.num_rejected != count:
        raise RuntimeError(f"{arm} found {found} in {path.name} of {count} rows")
    return found


def _speed(found: Measured) -> float:
    return (found.num_rows + found.num_rejected) / found.processor_seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench upload")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--divided-by", type=int, default=1, help="of all numbers of rows")
    parser.add_argument("--formats", nargs="*", choices=tuple(ROWS), default=tuple(ROWS))
    parser.add_argument("--work", type=Path, help="folder for the files; 0.5 GB")
    return parser

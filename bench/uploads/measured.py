"""Time and memory of one import in a process of its own, which does nothing else.

    python -m bench.uploads.measured ARM FILE      one line of JSON

Libraries are loaded before the clock starts, for every arm.
"""

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

ARMS = {
    "ours": "bench.uploads.ours:imported",
    "rival": "bench.uploads.pandas_rows:imported",
    "lean_rival": "bench.uploads.pandas_rows:imported_lean",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What one import took."""

    num_rows: int
    num_rejected: int
    seconds: float
    processor_seconds: float
    """Of all threads."""
    first_error_seconds: float | None
    """From the start until the first rejected row was known; None where there is none."""
    peak_mib: float
    """Of the whole process, libraries included."""


def measured(work: Callable[[float], tuple[int, int, float | None]]) -> Measured:
    """`work` is given its start on the clock of `time.perf_counter`; it returns the numbers of
    valid and rejected rows, and the seconds until the first of these was known.
    """
    began, began_processor = time.perf_counter(), time.process_time()
    num_rows, num_rejected, first_error_seconds = work(began)
    return Measured(
        num_rows=num_rows,
        num_rejected=num_rejected,
        seconds=time.perf_counter() - began,
        processor_seconds=time.process_time() - began_processor,
        first_error_seconds=first_error_seconds,
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def main(arm: str, path: Path) -> None:
    """Prints what the import of `path` took."""
    # Both arms on one core, whatever threads their libraries start.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    module, _, function = ARMS[arm].partition(":")
    imported = getattr(import_module(module), function)
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        print(json.dumps(asdict(imported(path, Path(directory)))))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

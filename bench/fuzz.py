"""Broken headers of models: none may end in anything but a model or an error a person can act upon.

`config.json`, `generation_config.json`, `tokenizer.json`, `tokenizer_config.json`, the index of
shards, safetensors and GGUF headers are mutated (values, names, lengths, bytes), inspected, tried
out and, where they are accepted, loaded. Each case has two seconds of one processor and 1 GiB.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.protocol import Result, Table

ROOT = Path(__file__).resolve().parent.parent
BATCH = 2_000
SILENCE_SECONDS = 120
"""After which a batch counts as stuck, whatever its processor time."""


@dataclass(frozen=True, slots=True)
class Case:
    """One broken header and what came of it."""

    number: int
    kind: str
    word: str
    """`loaded`, a code of `ModelError`, or `crash`."""
    detail: str
    seconds: float


def run(arguments: Sequence[str]) -> Result:
    """All cases of one seed."""
    options = _parser().parse_args(arguments)
    cases = []
    last = options.first + options.count
    for case in fuzz(options.seed, options.first, last, loads=not options.inspect_only):
        cases.append(case)
        if case.word == "crash":
            print(f"case {case.number}: {case.kind}: {case.detail}", file=sys.stderr)
        if len(cases) % BATCH == 0:
            print(f"{len(cases)} of {options.count}", file=sys.stderr)
    crashes = [case for case in cases if case.word == "crash"]
    outcomes = Counter((case.kind, case.word) for case in cases)
    longest = max((case.seconds for case in cases), default=0.0)
    return Result(
        table=Table(
            columns=("broken file", "outcome", "cases"),
            rows=[(kind, word, number) for (kind, word), number in sorted(outcomes.items())],
        ),
        figures={
            "seed": options.seed,
            "cases": len(cases),
            "crashes": len(crashes),
            "longest_seconds": longest,
        },
        failures=[
            f"seed {options.seed} case {case.number} ({case.kind}): {case.detail}"
            for case in crashes
        ],
    )


def fuzz(seed: int, first: int, last: int, *, loads: bool) -> Iterator[Case]:
    """The cases from `first` to before `last`, in their order; repeatable one by one.

    Args:
        seed: Decides every case together with its number.
        first: Number of the first case.
        last: Number behind the last case.
        loads: Whether accepted models are loaded too.
    """
    while first < last:
        for case in _batch(seed, first, min(first + BATCH, last), loads=loads):
            yield case
            first = case.number + 1


def _batch(seed: int, first: int, last: int, *, loads: bool) -> Iterator[Case]:
    """Cases until `last` or the first one that ends the process."""
    command = [sys.executable, "-m", "bench.header_fuzz.child", str(seed), str(first), str(last)]
    child = subprocess.run(  # noqa: S603 (our own program, no shell)
        [*command, "loads" if loads else "inspects"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=SILENCE_SECONDS + 3 * (last - first),
        check=False,
    )
    if not child.stdout:
        raise RuntimeError(f"the whole model could not be read: {child.stderr[-2_000:]}")
    begun = first
    for line in child.stdout.splitlines():
        document = json.loads(line)
        begun = document["number"]
        if "word" in document:
            yield Case(**document)
            begun += 1
    if begun < last:
        yield Case(begun, "?", "crash", f"the process ended with {child.returncode}", 0.0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--inspect-only", action="store_true", help="accepted models stay unloaded")
    return parser

"""What a benchmark is: one module of this package with a function `run`.

    '''First line: what is measured. The rest is shown in docs/benchmarks.md above the table.'''

    def run(arguments: Sequence[str]) -> Result:

`run` parses its own arguments (argparse), prints progress to stderr, and with no arguments does
what docs/benchmarks.md shows. `python -m bench NAME` calls it, prints the table, and as the last
line one JSON object. The exit status is 1 when `Result.failures` is not empty. A part that is
shared or long is a package beside the modules; packages and the modules of `FRAME` are no
benchmarks. Each benchmark has a heading in docs/commands.md.
"""

import importlib
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

FRAME = frozenset({"__init__", "__main__", "document", "environment", "protocol"})
"""Modules of the package that are no benchmarks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """What a person reads."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]

    def cells(self) -> list[list[str]]:
        """The heading and the rows as texts; a number with four significant digits."""
        return [[_text(value) for value in row] for row in (self.columns, *self.rows)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a benchmark found."""

    table: Table
    figures: Mapping[str, float]
    """By name with its unit, such as `cancel_p95_seconds`."""
    ratios: Mapping[str, float] = field(default_factory=dict)
    """`<ours>_vs_<rival>`: median of the ratios of paired repeats."""
    spread: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Of a figure or ratio, by its name: the first and third quartile of its repeats."""
    failures: Sequence[str] = ()
    """What must hold and did not."""
    not_run: str = ""
    """Why nothing was measured on this machine; the figures are empty then."""


class Benchmark(Protocol):
    """A module of this package."""

    __doc__: str | None

    def run(self, arguments: Sequence[str]) -> Result:
        """What was found; `arguments` are those behind the benchmark's name."""


def names() -> list[str]:
    """Every benchmark there is."""
    modules = {path.stem for path in Path(__file__).parent.glob("*.py")}
    return sorted(modules - FRAME)


def load(name: str) -> Benchmark:
    """The benchmark's module, which may import anything: only when it is asked for.

    Raises:
        ValueError: there is no such benchmark.
    """
    if name not in names():
        raise ValueError(f"no benchmark {name!r}; there are {', '.join(names())}")
    return cast("Benchmark", importlib.import_module(f"bench.{name}"))


def interleaved(arms: Mapping[str, Callable[[], float]], *, repeats: int) -> dict[str, list[float]]:
    """What each arm returned in each round, by its name.

    Every round calls every arm once, beginning with another one each time, so that a machine that
    slows down or warms up does so for all of them.
    """
    order = list(arms)
    measured: dict[str, list[float]] = {name: [] for name in order}
    for _ in range(repeats):
        for name in order:
            measured[name].append(arms[name]())
        order = [*order[1:], order[0]]
    return measured


def paired_ratios(ours: Sequence[float], rival: Sequence[float]) -> list[float]:
    """Ours over the rival's, round by round."""
    return [mine / other for mine, other in zip(ours, rival, strict=True)]


def quartiles(values: Iterable[float]) -> tuple[float, float]:
    """First and third quartile; of a single value, twice the value."""
    found = sorted(values)
    if len(found) == 1:
        return found[0], found[0]
    low, _, high = statistics.quantiles(found, n=4, method="inclusive")
    return low, high


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed."""
    found = sorted(values)
    rank = max(1, -int(-share * len(found) // 1))
    return found[rank - 1]


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

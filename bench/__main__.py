"""Benchmarks of the product.

    python -m bench NAME [ARGUMENT ...]     a table, then one line of JSON; NAME --help says more
    python -m bench list                    the names
    python -m bench --document NAME         also writes its section of docs/benchmarks.md
    python -m bench --document all          every benchmark

Exit status: 1 when something that must hold did not, 2 for a name that is not there.
"""

import os
import signal
import sys
from collections.abc import Sequence

from bench.document import has_section, json_line, section, terminal_table, write_section
from bench.protocol import load, names


def main(argv: Sequence[str]) -> int:
    """The exit status of one command line."""
    # The platform refuses a data directory that others can open, and `var/` may be made here first.
    os.umask(0o077)
    arguments = list(argv)
    is_documented = arguments[:1] == ["--document"]
    if is_documented:
        arguments.pop(0)
    if not arguments or arguments[0] in {"-h", "--help"}:
        print(__doc__)
        return 0 if arguments else 2
    name, *rest = arguments
    if name == "list":
        print("\n".join(names()))
        return 0
    chosen = names() if name == "all" else [name]
    statuses = [run_benchmark(each, rest, is_documented=is_documented) for each in chosen]
    return max(statuses, default=0)


def run_benchmark(name: str, arguments: list[str], *, is_documented: bool) -> int:
    """The benchmark has run and printed what it found; its exit status."""
    try:
        benchmark = load(name)
    except ValueError as exc:
        print(exc, file=sys.stderr)
        return 2
    result = benchmark.run(arguments)
    line = json_line(name, result)
    # What could not run here leaves what was measured elsewhere.
    if is_documented and not (result.not_run and has_section(name)):
        write_section(name, section(name, benchmark.__doc__ or "", arguments, result, line))
    print(terminal_table(result.table))
    for failure in result.failures:
        print(f"did not hold: {failure}", file=sys.stderr)
    print(line, flush=True)
    return 1 if result.failures else 0


if __name__ == "__main__":
    # Leaves by the way on which servers are stopped and disks unmounted.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    sys.exit(main(sys.argv[1:]))

"""Results as text: in the terminal, and as a section of docs/benchmarks.md."""

import inspect
import json
import re
import shlex
from pathlib import Path

from bench.environment import describe_environment
from bench.protocol import Result, Table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
INTRODUCTION = """# Benchmarks

Written by `make bench` ([commands.md](commands.md#make-bench)), one section for each benchmark.
The line of JSON below a table is what `python -m bench NAME` prints last.
"""


def json_line(name: str, result: Result) -> str:
    """The last line of a benchmark's output."""
    document = {
        "bench": name,
        "figures": dict(result.figures),
        "ratios": dict(result.ratios),
        "spread": {key: list(value) for key, value in result.spread.items()},
        "environment": describe_environment(),
    }
    if result.not_run:
        document["status"] = result.not_run
    return json.dumps(document, ensure_ascii=False)


def terminal_table(table: Table) -> str:
    """Columns side by side; those of numbers end at the right."""
    cells = table.cells()
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def section(name: str, about: str, arguments: list[str], result: Result, line: str) -> str:
    """The benchmark's part of the page."""
    heading, *rows = result.table.cells()
    table = [heading, ["---"] * len(heading), *rows]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table]
    command = shlex.join(["python", "-m", "bench", name, *arguments])
    failures = [f"- **Did not hold:** {failure}" for failure in result.failures]
    parts = [
        f"## {name}", inspect.cleandoc(about), f"`{command}`", "\n".join(lines),
        "\n".join(failures), f"```json\n{line}\n```",
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def put_section(page: str, name: str, text: str) -> str:
    """`page` with the benchmark's section replaced, or added in the order of names."""
    introduction, *others = re.split(r"^(?=## )", page or INTRODUCTION, flags=re.MULTILINE)
    sections = {other.split("\n", 1)[0].removeprefix("## "): other for other in others}
    sections[name] = text
    return "\n".join(
        part.strip("\n") + "\n"
        for part in [introduction, *(sections[key] for key in sorted(sections))]
    )


def has_section(name: str) -> bool:
    """docs/benchmarks.md has one for the benchmark."""
    return PAGE.exists() and f"\n## {name}\n" in PAGE.read_text(encoding="utf-8")


def write_section(name: str, text: str) -> None:
    """docs/benchmarks.md has the section."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    PAGE.write_text(put_section(page, name, text), encoding="utf-8")

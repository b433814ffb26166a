"""Files as experts have them and files that attack: what an import makes of each of them.

Every file is written by a script that also says what is right: the rows it becomes, or the codes of
the errors that are told. Each is imported by a process of its own, which may take five seconds of
processor time and 300 MiB, libraries included. Wrongly accepted: a row is kept that must not be, or
with another text. Wrongly refused: a row that is right is lost. Told otherwise: the rows are right
and the codes of errors are others.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.protocol import Result, Table
from bench.uploads.corpora import CORPORA, cases_of, counted, verdicts

COLUMNS = (
    "corpus", "files", "wrongly accepted", "wrongly refused", "told otherwise", "crashes",
    "over 5 s", "over 300 MiB", "longest, s", "most, MiB",
)  # fmt: skip


def run(arguments: Sequence[str]) -> Result:
    """Both corpora."""
    options = _parser().parse_args(arguments)
    rows: list[list[object]] = []
    figures: dict[str, float] = {}
    failures: list[str] = []
    for corpus in CORPORA:
        cases = [c for c in cases_of(corpus, part=options.part) if options.only in c.name]
        with tempfile.TemporaryDirectory(dir=options.work) as directory:
            found = list(verdicts(cases, Path(directory)))
        counts = counted(found)
        longest = max((each.finding.seconds for each in found), default=0.0)
        most = max((each.finding.peak_mib for each in found), default=0.0)
        rows.append([corpus, len(found), *counts.values(), longest, round(most)])
        figures[f"{corpus}_files"] = len(found)
        figures |= {f"{corpus}_{name.replace(' ', '_')}": n for name, n in counts.items()}
        figures |= {f"{corpus}_longest_seconds": longest, f"{corpus}_most_mib": most}
        failures += [f"{corpus}: {each}" for each in found if each.fault]
        print(f"{corpus}: {len(found)} files, {sum(counts.values())} faults", file=sys.stderr)
    return Result(table=Table(columns=COLUMNS, rows=rows), figures=figures, failures=failures)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench corpora")
    parser.add_argument("--part", type=int, default=1, help="only this part of the small files")
    parser.add_argument("--only", default="", help="files whose name has this in it")
    parser.add_argument("--work", type=Path, help="folder for the files; 0.5 GB")
    return parser

"""Are two runs of the demonstration the same, but for time? For changes that must move no figure.

Every leaf of the results is compared to the last digit, then the rows of `samples.parquet`,
the gauge's texts and the digests of trained weights. Left out are timings and what they decide: a
benchmark's measured costs, the draft length chosen by them, and what follows from that length, and
certificates, which name day and code; what they say of the arms stands under losslessness.
Reports of an earlier version are upgraded first, so that the upgrade is compared too.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.contracts.reports import Report, parse_report
from pipeline.contracts.samples import COLUMNS
from pipeline.contracts.training_results import TrainingFigures

TIMES = frozenset(
    {"seconds", "tokens_per_second", "prefill_seconds", "decode_seconds", "build_seconds", "kept"}
)
CERTIFICATES = "results.certificates"
DECIDED_BY_TIMES = frozenset(
    {
        "costs",
        "speedup",
        "speedup_without_repetitive_answers",
        "num_speculative_tokens",
        "mean_acceptance_length",
        "draft_acceptance_rate",
        "acceptance_per_position",
        "block_efficiency",
        "break_even_acceptance",
        "predicted_speedup",
        "oracle_bound",
        "fraction_of_oracle_bound",
        "end_to_end_speedup",
        "probed_survival",
        "prediction",
        "measured_over_predicted",
        "is_measured_in_interval",
    }
)


def differences(before: Path, after: Path) -> tuple[list[str], int]:
    """What differs between two plan directories, and how many values agree.

    A plan directory holds `steps/<id>/report.json`; a step that only one side has is a difference.
    """
    steps = [
        {path.parent.name: path.parent for path in sorted(side.glob("steps/*/report.json"))}
        for side in (before, after)
    ]
    found: list[str] = []
    num_equal = 0
    if not steps[0]:
        found.append(f"no finished step in {before}")
    for step_id in dict.fromkeys((*steps[0], *steps[1])):
        old, new = (side.get(step_id) for side in steps)
        if old is None or new is None:
            found.append(f"{step_id}: only one side has it")
            continue
        values = [dict(_values(directory)) for directory in (old, new)]
        for name in dict.fromkeys((*values[0], *values[1])):
            left, right = (side.get(name, "nothing") for side in values)
            if left == right:
                num_equal += 1
            else:
                found.append(f"{step_id}: {name}: {left!r} became {right!r}")
    return found, num_equal


def _values(step_dir: Path) -> Iterator[tuple[str, object]]:
    report = parse_report((step_dir / "report.json").read_bytes())
    yield from _leaves("results", report.results.model_dump(mode="json"))
    if isinstance(report.results, TrainingFigures):
        yield "weights", report.outputs["model"].digest
    yield from _file_values(report, step_dir)


def _file_values(report: Report, step_dir: Path) -> Iterator[tuple[str, object]]:
    if "samples" in report.outputs:
        for row in pq.read_table(step_dir / report.outputs["samples"].path).to_pylist():
            name = f"samples.{row['task']}.{row['item_id']}"
            for column in COLUMNS:
                yield f"{name}.{column}", row.get(column)
    if "gauge_texts" in report.outputs:
        texts = step_dir / report.outputs["gauge_texts"].path
        for number, line in enumerate(texts.read_text(encoding="utf-8").splitlines(), start=1):
            yield f"gauge_texts.{number}", line


def _leaves(name: str, value: object) -> Iterator[tuple[str, object]]:
    if name.rpartition(".")[2] in TIMES or name == CERTIFICATES:
        return
    if ".arms." in name and name.rpartition(".")[2] in DECIDED_BY_TIMES:
        return
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from _leaves(f"{name}.{key}", child)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _leaves(f"{name}.{index}", child)
    else:
        yield name, value

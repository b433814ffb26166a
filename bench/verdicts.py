"""Verdicts on retention where the truth is planted: PASS, FAIL and INCONCLUSIVE, in per cent.

Base accuracy 0.60 on four choices. "Lost" and "won" are shares of all items; a true loss exactly at
the margin must not pass in more than 3.5% of simulations (2.5% is the one-sided error of a 95%
interval). Where losses sit in few subjects that are drawn anew each time, a benchmark may contain
none of them: then nothing was lost in it, and the rows "in a share of subjects" show how often that
passes. They have no bar: no rule that lets identical models pass can do without these errors.
"""

import argparse
import functools
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.planted.records import Records, Row
from bench.planted.verdict_cases import (
    C_EVAL,
    HEADROOM,
    MMLU,
    Planted,
    Shape,
    in_few,
    measured,
    uneven,
)
from bench.protocol import Result, Table
from pipeline.contracts.evaluation_results import RetentionResults
from pipeline.contracts.verdicts import Verdict

MAX_FALSE_PASS = 0.035
"""Of a true loss exactly at the margin; 2.5% and three standard errors of 4,000 simulations."""
_ONE_PERCENT = 0.01 * HEADROOM
_IN_FULL = {
    "6% lost, 3% won",
    "0.35% lost",
    "1.35% lost, 1% won, by subject (correlation .01)",
    "0.35% lost, by subject (correlation .01)",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A planted case and what must be found."""

    name: str
    shape: Shape
    planted: Planted
    margin: float
    holds: Callable[[Sequence[RetentionResults]], bool] | None = None
    """What must hold of all results; None where the row only informs."""
    repeats: int


def share_of(results: Sequence[RetentionResults], verdict: Verdict) -> float:
    """Share of results with the verdict."""
    return sum(one.verdict is verdict for one in results) / len(results)


def _always(verdict: Verdict) -> Callable[[Sequence[RetentionResults]], bool]:
    return lambda results: share_of(results, verdict) == 1.0


def _rarely_passes(results: Sequence[RetentionResults]) -> bool:
    return share_of(results, Verdict.PASS) <= MAX_FALSE_PASS


def _says_what_is_missing(results: Sequence[RetentionResults]) -> bool:
    return all(
        one.verdict is Verdict.INCONCLUSIVE and (one.items_missing or 0) > 0 for one in results
    )


def never_unmentioned(results: Sequence[RetentionResults]) -> bool:
    """Whether no result passes, and each names the collapsed subject as the worst one."""
    return all(
        one.verdict is not Verdict.PASS
        and one.worst_cluster is not None
        and one.worst_cluster.cluster == "subject-000"
        for one in results
    )


def cases() -> list[Case]:
    """Every row of the table."""
    alone_500 = Shape(name="500 items", num_items=500)
    alone_2000 = Shape(name="2,000 items", num_items=2_000)
    unchanged = Planted()
    sure = {"repeats": 200}
    found = [
        Case(name="identical", shape=MMLU, planted=unchanged, margin=0.01,
             holds=_always(Verdict.PASS), **sure),
        Case(name="identical", shape=C_EVAL, planted=unchanged, margin=0.01,
             holds=lambda results: share_of(results, Verdict.PASS) >= 0.99, **sure),
        Case(name="identical", shape=alone_500, planted=unchanged, margin=0.03,
             holds=_always(Verdict.PASS), **sure),
        Case(name="identical", shape=alone_500, planted=unchanged, margin=0.01,
             holds=_says_what_is_missing, **sure),
        Case(name="6% lost, 3% won", shape=alone_2000, planted=Planted(lost=0.06, won=0.03),
             margin=0.01, holds=lambda results: share_of(results, Verdict.FAIL) >= 0.95,
             repeats=1_000),
    ]  # fmt: skip
    at_margin = [
        ("6% lost, 3% won", alone_2000, Planted(lost=0.06, won=0.03), 0.03 / HEADROOM),
        ("1.35% lost, 1% won", alone_2000, Planted(lost=0.01 + _ONE_PERCENT, won=0.01), 0.01),
        (
            "0.35% lost",
            Shape(name="1,200 items", num_items=1_200),
            Planted(lost=_ONE_PERCENT),
            0.01,
        ),
        ("0.35% lost", C_EVAL, Planted(lost=_ONE_PERCENT), 0.01),
        (
            "1.35% lost, 1% won, by subject (correlation .01)",
            MMLU,
            Planted(lost=uneven(0.01 + _ONE_PERCENT, 0.01), won=0.01),
            0.01,
        ),
        (
            "3.35% lost, 3% won, by subject (correlation .05)",
            MMLU,
            Planted(lost=uneven(0.03 + _ONE_PERCENT, 0.05), won=0.03),
            0.01,
        ),
        (
            "0.35% lost, by subject (correlation .01)",
            C_EVAL,
            Planted(lost=uneven(_ONE_PERCENT, 0.01)),
            0.01,
        ),
        (
            "4.05% lost, 3% won, by passage (correlation .2)",
            Shape(name="2,000 items, 200 passages", num_items=2_000, num_clusters=200),
            Planted(lost=uneven(0.03 + 3 * _ONE_PERCENT, 0.2), won=0.03),
            0.03,
        ),
    ]
    found += [
        Case(name=f"at the margin: {name}", shape=shape, planted=planted, margin=margin,
             holds=_rarely_passes, repeats=4_000 if name in _IN_FULL else 2_000)
        for name, shape, planted, margin in at_margin
    ]  # fmt: skip
    found += [
        Case(name=f"at the margin: 0.35% lost, in {share:.0%} of subjects", shape=shape,
             planted=Planted(lost=in_few(_ONE_PERCENT, share)), margin=0.01, repeats=500)
        for shape in (MMLU, C_EVAL)
        for share in (0.5, 0.2, 0.1, 0.05, 0.02)
    ]  # fmt: skip
    found += [
        Case(name="one subject collapses, 1% lost and won elsewhere", shape=MMLU,
             planted=Planted(lost=0.01, won=0.01, collapsed=0), margin=margin,
             holds=never_unmentioned, repeats=200)
        for margin in (0.01, 0.03, 0.10)
    ]  # fmt: skip
    return found


def run(arguments: Sequence[str]) -> Result:
    """The verdicts of every planted case."""
    parser = argparse.ArgumentParser(prog="python -m bench verdicts")
    parser.add_argument("--share", type=float, default=1.0, help="of the simulations of each case")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    records = Records("verdicts")
    rows, failures, at_margin, seconds = [], [], [], 0.0
    for number, case in enumerate(cases()):
        repeats = max(1, round(options.share * case.repeats))
        title = [case.name, case.shape.name, f"{case.margin:.2%}", repeats]
        seed = options.seed + number
        row = records.row(f"{title} {seed}", functools.partial(_row, case, repeats, seed))
        shares = [float(str(row[verdict.value])) for verdict in Verdict]
        rows.append([*title, *shares, row["reason"]])
        seconds += float(str(row["seconds"]))
        if case.holds is not None and not row["holds"]:
            failures.append(f"{title}: {shares}")
        if case.holds is _rarely_passes:
            at_margin.append(shares[0])
        print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    columns = ["planted", "benchmark", "margin", "simulations", "PASS %", "FAIL %",
               "INCONCLUSIVE %", "most frequent reason"]  # fmt: skip
    return Result(
        table=Table(columns=columns, rows=rows),
        figures={"max_false_pass_percent": max(at_margin), "seconds": seconds},
        failures=failures,
    )


def _row(case: Case, repeats: int, seed: int) -> Row:
    started = time.perf_counter()
    results = measured(case.shape, case.planted, case.margin, repeats=repeats, seed=seed)
    reasons = Counter(one.reason.value for one in results)
    return {
        **{verdict.value: 100.0 * share_of(results, verdict) for verdict in Verdict},
        "reason": reasons.most_common(1)[0][0],
        "holds": case.holds is None or case.holds(results),
        "seconds": time.perf_counter() - started,
    }

"""The frame of the benchmarks: rivals take turns, and the last line is one JSON object."""

import inspect
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.__main__ import main, run_benchmark
from bench.document import PAGE, json_line, put_section, section, terminal_table
from bench.mutations.guard import Guard
from bench.mutations.guards import GUARDS
from bench.planted import records
from bench.protocol import (
    FRAME,
    Result,
    Table,
    interleaved,
    load,
    names,
    paired_ratios,
    percentile,
    quartiles,
)

RESULT = Result(
    table=Table(columns=["arm", "seconds"], rows=[["ours", 0.123456], ["a | b", 10]]),
    figures={"ours_seconds": 0.5},
    ratios={"ours_vs_rival": 0.5},
    spread={"ours_vs_rival": (0.4, 0.6)},
    failures=["two of three were lost"],
)


def test_every_round_begins_with_another_arm() -> None:
    calls: list[str] = []

    def arm(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    measured = interleaved({name: lambda name=name: arm(name) for name in "abc"}, repeats=3)
    assert "".join(calls) == "abcbcacab"
    assert measured == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}
    assert paired_ratios([1, 6], [2, 3]) == [0.5, 2]


def test_quantiles_by_hand() -> None:
    assert quartiles([7]) == (7, 7)
    assert quartiles([1, 2, 3, 4, 5]) == (2, 4)
    hundred = list(range(1, 101))
    assert [percentile(hundred, share) for share in (0.5, 0.95, 1.0)] == [50, 95, 100]
    assert percentile([3.0], 0.95) == 3


def test_the_last_line_is_one_json_object() -> None:
    document = json.loads(json_line("toy", RESULT))
    assert list(document) == ["bench", "figures", "ratios", "spread", "environment"]
    assert (document["bench"], document["ratios"]) == ("toy", {"ours_vs_rival": 0.5})
    assert {"processor", "num_cores", "code_version", "packages"} <= set(document["environment"])
    assert terminal_table(RESULT.table).splitlines() == [
        "arm    seconds",
        "ours    0.1235",
        "a | b       10",
    ]


def test_a_section_replaces_its_own_and_no_other() -> None:
    first = section("toy", "What it is.", ["--seed", "1"], RESULT, "{}")
    assert "`python -m bench toy --seed 1`" in first
    assert "| a \\| b | 10 |" in first
    assert "**Did not hold:** two of three" in first
    page = put_section(put_section("", "toy", first), "other", "## other\n\ntext\n")
    again = put_section(page, "toy", "## toy\n\nnew\n")
    assert again.index("## other\n\ntext\n") < again.index("## toy\n\nnew\n")
    assert "What it is." not in again
    assert put_section(again, "toy", "## toy\n\nnew\n") == again


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no_such"]) == 2
    assert "no benchmark 'no_such'" in capsys.readouterr().err
    for name in FRAME:
        with pytest.raises(ValueError, match=name):
            load(name)


def test_a_row_is_measured_once_while_its_code_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "ROOT", tmp_path)
    module = tmp_path / "bench/toy.py"
    module.parent.mkdir()
    module.write_text("first", encoding="utf-8")
    calls: list[str] = []

    def measure() -> records.Row:
        calls.append("measured")
        return {"covered": 0.95}

    for key in ("a", "b", "a", "b"):
        assert records.Records("toy").row(key, measure) == {"covered": 0.95}
    assert len(calls) == 2
    module.write_text("second", encoding="utf-8")
    assert records.Records("toy").row("a", measure) == {"covered": 0.95}
    assert len(calls) == 3


@pytest.mark.parametrize("name", names())
def test_every_benchmark_says_what_it_measures_and_is_documented(name: str) -> None:
    benchmark = load(name)
    assert benchmark.__doc__
    assert list(inspect.signature(benchmark.run).parameters) == ["arguments"]
    assert f"\n## {name}\n" in Path(PAGE).read_text(encoding="utf-8")


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_every_guard_is_where_the_mutations_look_for_it(guard: Guard) -> None:
    guard.removed_from((PAGE.parents[1] / guard.path).read_text(encoding="utf-8"))


def test_what_cannot_run_here_leaves_what_was_measured_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "benchmarks.md"
    monkeypatch.setattr("bench.document.PAGE", page)
    absent = Result(table=RESULT.table, figures={}, not_run="no such processor")
    measured = Result(table=RESULT.table, figures={"ours_seconds": 0.5})
    found = []
    for result in (absent, measured, absent):
        benchmark = SimpleNamespace(__doc__="What is measured.", run=lambda _, one=result: one)
        monkeypatch.setattr("bench.__main__.load", lambda _, one=benchmark: one)
        assert run_benchmark("decoding", [], is_documented=True) == 0
        found.append(page.read_text())
    assert '"status": "no such processor"' in found[0]
    assert '"ours_seconds": 0.5' in found[1]
    assert found[2] == found[1]

"""A fixed small part of the files that experts have and of those that attack."""

from pathlib import Path

import pytest

from bench.uploads.cases import Outcome, asked, case
from bench.uploads.corpora import CORPORA, Verdict, cases_of, counted, verdicts
from bench.uploads.judge import Finding

ONE_IN = 8


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_part_of_the_corpus_is_read_as_is_right(tmp_path: Path, corpus: str) -> None:
    assert len(cases_of(corpus)) >= 80
    cases = cases_of(corpus, part=ONE_IN)
    assert len(cases) >= 10
    assert [str(each) for each in verdicts(cases, tmp_path) if each.fault] == []


def test_what_differs_is_named(tmp_path: Path) -> None:
    table = "问题,答案\n甲,乙\n丙,丁\n"
    right = asked(("甲", "乙"), ("丙", "丁"))
    wrong = {
        "right.csv": right,
        "lost.csv": asked(("甲", "乙"), ("丙", "丁"), ("戊", "己")),
        "kept.csv": Outcome(codes=("header.missing",)),
        "changed.csv": asked(("甲", "乙"), ("丙", "丁 ")),
        "told.csv": asked(("甲", "乙"), ("丙", "丁"), codes=["row.type"]),
    }
    found = list(verdicts([case(name, table, each) for name, each in wrong.items()], tmp_path))
    faults = [each.fault for each in found]
    assert faults == ["", "refused", "accepted", "accepted", "told otherwise"]
    assert counted(found)["accepted"] == 2


def test_a_crash_and_a_limit_are_faults() -> None:
    one = case("a.csv", "", Outcome())
    for finding, fault in (
        (Finding(file="a.csv", crash="KeyError"), "crash"),
        (Finding(file="a.csv", peak_mib=301), "memory"),
        (Finding(file="a.csv", seconds=5.1), "time"),
        (Finding(file="a.csv"), ""),
    ):
        assert Verdict.of(one, finding).fault == fault

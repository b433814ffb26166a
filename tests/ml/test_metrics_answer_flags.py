"""Flags of an answer, each by hand, and none on what people wrote."""

import json
from pathlib import Path

import pytest

from pipeline.metrics.answer_flags import REPETITION_RATE, AnswerFlag, answer_flags, numbers_differ
from pipeline.metrics.text_overlap import repeated_4gram_rate, tokenize

DEMONSTRATION = Path(__file__).resolve().parents[2] / "examples/soae_demo"


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("深化国有企业改革。", "推进国有企业改革。", set()),
        ("", "同意", {"empty"}),
        (" \n。", "同意", {"empty"}),
        ("营业收入3.6亿元", "营业收入3.5亿元", {"number_mismatch"}),
        ("营业收入三点五亿元", "营业收入3.5亿元", set()),
        ("国企改革" * 8, "深化国企改革，提升核心竞争力，完善公司治理结构", {"repetition"}),
        ("国有资产监督管理委员会" * 2 + "依照法律履行出资人职责", "国资委", {"over_long"}),
        ("国有资产监督管理委员会履行出资人职责", "国资委", set()),
    ],
)  # fmt: skip
def test_flags_by_hand(answer: str, reference: str, expected: set[str]) -> None:
    assert {flag.value for flag in answer_flags(answer, reference)} == expected


def test_a_cut_answer_is_truncated_and_an_empty_one_only_empty() -> None:
    assert answer_flags("深化", "深化", is_cut=True) == {AnswerFlag.TRUNCATED}
    assert answer_flags("", "深化", is_cut=True) == {AnswerFlag.EMPTY}


@pytest.mark.parametrize(
    ("answer", "reference", "question", "differ"),
    [
        ("共350,000,000元", "共3.5亿元", "", False),
        ("2023.12.31生效", "2023年12月31日起生效", "", False),
        ("3.50%", "3.5%", "", False),
        ("nine chapters and 77 articles", "It has 9 chapters and 77 articles.", "", False),
        ("九章七十七条", "9章77条", "", False),
        ("分三步", "分三步走", "", False),
        # One side is silent about a number.
        ("增长较快", "增长3.5%", "", True),
        ("增长3.5%", "增长较快", "", True),
        # What the question says may be repeated or left out.
        ("2023年增长较快", "增长较快", "2023年增长如何？", False),
        ("增长较快", "2023年增长较快", "2023年增长如何？", False),
        # Numbers of a list are none of the text.
        ("1. 完善治理\n2. 加强监督", "完善治理，加强监督", "", False),
        ("(1) reform\n(2) growth", "reform, growth", "", False),
        ("1.5倍", "完善治理", "", True),
        ("3.5", "35", "", True),
        ("", "", "", False),
    ],
)
def test_numbers_differ(answer: str, reference: str, question: str, differ: bool) -> None:
    assert numbers_differ(answer, reference, question=question) is differ


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_no_written_answer_is_flagged_against_itself(lang: str) -> None:
    rates = []
    for name in ("domain_test", "sft_expert"):
        path = DEMONSTRATION / f"{name}.{lang}.jsonl"
        for line in path.read_text(encoding="utf-8").splitlines():
            answer = json.loads(line)["output"]
            assert answer_flags(answer, answer) == frozenset(), answer
            rates.append(repeated_4gram_rate(tokenize(answer)))
    assert len(rates) > 200
    assert max(rates) < REPETITION_RATE / 1.5

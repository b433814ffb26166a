"""Numbers, dates and characters in one form, and what profile `canonical-v2` then calls equal."""

import json
import random
import re
from importlib.metadata import version
from pathlib import Path

import cn2an
import pytest

from pipeline.metrics.chinese_numerals import numeral_value, with_digits
from pipeline.metrics.profiles import profiles
from pipeline.metrics.text_overlap import tokenize
from pipeline.metrics.written_forms import one_written_form

DEMONSTRATION = Path(__file__).resolve().parents[2] / "examples/soae_demo"


def test_numerals_are_read_as_cn2an_writes_them() -> None:
    rng = random.Random(1)
    numbers = [*range(11, 1_200)]
    numbers += [rng.randrange(10**power, 10 ** (power + 1)) for power in range(3, 12)
                for _ in range(150)]  # fmt: skip
    # Round ones, where zeros are left out or said once.
    numbers += [n // 10**k * 10**k for n in numbers for k in (2, 3, 5, 7) if n // 10**k]
    for number in numbers:
        numeral = cn2an.an2cn(number, "low")
        assert numeral_value(numeral) == number, numeral
        if len(numeral) > 1:
            assert with_digits(f"共{numeral}元") == f"共{number}元", numeral


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("三点五亿元", "3.5亿元"),
        ("两千三百万", "23000000"),
        ("三亿五千万", "350000000"),
        ("第一百二十条和第三条", "第120条和第3条"),
        ("二〇二三年", "2023年"),
        ("二零二三年十二月", "2023年12月"),
        ("零点五", "0.5"),
        # Not surely a number: left as it is.
        ("三百五", "三百五"),
        ("一万五", "一万五"),
        ("三亿五百万", "三亿五百万"),
        ("十四五规划和十五五规划", "十四五规划和十五五规划"),
        ("三重一大、一带一路、统一", "三重一大、一带一路、统一"),
        ("三点五十分", "三点五十分"),
        ("两会", "两会"),
        ("十分", "十分"),
        ("百万", "百万"),
        ("", ""),
    ],
)
def test_what_is_a_numeral_and_what_is_not(text: str, expected: str) -> None:
    assert with_digits(text) == expected


DATES = ["2023.12.31", "2023-12-31", "2023/12/31", "２０２３．１２．３１", "2023年12月31日",
         "2023年12月31号", "二〇二三年十二月三十一日", "2023年十二月三十一日"]  # fmt: skip
EQUAL = [
    DATES,
    ["2023.1.5", "2023-01-05", "2023年1月5日", "2023年01月05日", "二〇二三年一月五日"],
    ["3.5亿", "三点五亿", "3.50亿", "35000万", "35,000万", "3亿5000万", "三亿五千万", "350000000",
     "350,000,000", "３．５億"],
    ["1.2万亿", "12000亿", "一万二千亿", "一点二万亿", "1200000000000"],
    ["3千万", "三千万", "30000000", "3000万"],
    ["百分之三点五", "3.5%", "３．５％"],
    ["第一百二十条", "第120条"],
    ["國有資產監督管理委員會", "国有资产监督管理委员会"],
    ["企業改革與發展", "企业改革与发展"],
]  # fmt: skip
DIFFERENT = [
    ("3.5亿", "3.6亿"),
    ("3.5亿", "3.5万"),
    ("2023.12.31", "2023.12.30"),
    ("2023.12.31", "2023.1.231"),
    ("1.2.3", "2001年2月3日"),
    ("12.10", "12月10日"),
    ("保值增值", "保值"),
]


@pytest.mark.parametrize("spellings", EQUAL, ids=lambda spellings: spellings[0])
def test_what_says_the_same_scores_100(spellings: list[str]) -> None:
    profile = profiles()["canonical-v2"]
    sentences = [f"截至目前为止，共计{spelling}，同比增长" for spelling in spellings]
    for sentence in sentences:
        for found in profile.score([sentence] * len(sentences), sentences):
            assert (found["rouge1"], found["rougeL"]) == (100.0, 100.0), (sentence, sentences)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_says_something_else_does_not(one: str, other: str) -> None:
    (found,) = profiles()["canonical-v2"].score([f"共计{one}元"], [f"共计{other}元"])
    assert found["rouge1"] < 100


def documented() -> list[tuple[str, str, tuple[str, ...]]]:
    """(reference, answer, what docs/metrics.md says of each profile)"""
    text = (Path(__file__).resolve().parents[2] / "docs/metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(.+)` \| `(.+)` \| (.+) \| (.+) \| (.+) \|$", text, re.MULTILINE)
    return [(reference, answer, tuple(claims)) for reference, answer, *claims in rows]


def test_the_documentation_says_what_each_profile_sees() -> None:
    assert len(documented()) > 12
    for reference, answer, claims in documented():
        for profile, claim in zip(profiles().values(), claims, strict=True):
            (found,) = profile.score([answer], [reference])
            says = (profile.name, reference, answer)
            assert (found["rouge1"] == 100) == claim.startswith("yes"), says
            if claim.startswith("yes") and profile.name != "lf-zh-v1":
                # Short texts: `effective_order` gives an equal one 100.
                assert (found["sentence_bleu"] > 99.99) == ("BLEU: no" not in claim), says


@pytest.mark.parametrize(("lang", "changed"), [("zh", {("昇", "升")}), ("en", set())])
def test_simplified_text_keeps_its_characters(lang: str, changed: set[tuple[str, str]]) -> None:
    """Without its numbers a text stays what it was, but for a variant in a name, on both sides."""
    numerals = set("零〇一二三四五六七八九十百千万亿两点分之年月日号")
    found = set()
    for path in sorted(DEMONSTRATION.glob(f"corpus_*.{lang}.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            text = json.loads(line)["text"]
            kept = [
                [token for token in tokenize(one)
                 if token not in numerals and not token.replace(".", "").isdigit()]
                for one in (text, one_written_form(text))
            ]  # fmt: skip
            found |= {pair for pair in zip(*kept, strict=True) if pair[0] != pair[1]}
    assert found == changed


def test_the_form_of_a_form_is_itself() -> None:
    rng = random.Random(2)
    pieces = [*"零一二三十百千万亿两点年月日第条元%国企，。0123456789.-/", "2023.12.31", "3.5亿"]
    for _ in range(3_000):
        text = "".join(rng.choices(pieces, k=rng.randint(0, 14)))
        form = one_written_form(text)
        assert one_written_form(form) == form, text


def test_profiles_never_change_under_their_names() -> None:
    """To the last digit. Whoever must change one gives the new one another name."""
    answers = ["2023.12.31，國企營收三点五亿元。\n\n同比增长3.5%。", "改革改革改革", ""]
    references = ["2023年12月31日，国企营收3.5亿元，同比增长3.5%。", "深化国企改革", "同意"]
    golden = json.loads((Path(__file__).parent / "golden_profiles.json").read_text("utf-8"))
    found = {
        name: [
            {key: score for key, score in row.items() if isinstance(score, float)}
            for row in profile.score(answers, references)
        ]
        for name, profile in profiles().items()
    }
    assert found.keys() == golden["scores"].keys()
    for name, rows in found.items():
        for ours, stored in zip(rows, golden["scores"][name], strict=True):
            assert ours == pytest.approx(stored, rel=0, abs=1e-9), name
    assert {name: profile.signature for name, profile in profiles().items()} == golden["signatures"]
    assert f"opencc:{version('opencc')}:" in profiles()["canonical-v2"].signature

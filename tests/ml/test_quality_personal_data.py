"""Personal data in Chinese texts: what is found, and what only looks like it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.quality.masking import Masker
from pipeline.data.quality.personal_data import find_personal_data, veiled
from pipeline.data.quality.personal_numbers import (
    is_bank_card,
    is_credit_code,
    is_identity_number,
    luhn_sum,
)
from pipeline.data.records import Document, DomainItem, MultipleChoiceItem

# GB 11643-1999 itself gives 11010519491231002X as its example.
IDENTITY = "11010519491231002X"
WIDE_IDENTITY = "１１０１０５１９４９１２３１００２Ｘ"


def found(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in find_personal_data(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"身份证号：{IDENTITY}。", [("identity_number", IDENTITY)]),
        (f"身份证{WIDE_IDENTITY}", [("identity_number", WIDE_IDENTITY)]),
        ("证件 110105 19491231 002x 已核验", [("identity_number", "110105 19491231 002x")]),
        (f"身份证编号{IDENTITY}", [("identity_number", IDENTITY)]),
        ("请拨打13812345678联系", [("mobile_phone", "13812345678")]),
        ("电话：+86 138-1234-5678", [("mobile_phone", "138-1234-5678")]),
        ("008613812345678", [("mobile_phone", "13812345678")]),
        ("卡号 6222 0212 3456 7890 128", [("bank_card", "6222 0212 3456 7890 128")]),
        ("4539148803436467", [("bank_card", "4539148803436467")]),
        ("写信到 Li.Lei+hr@example.com.cn。", [("email", "Li.Lei+hr@example.com.cn")]),
        (
            f"甲{IDENTITY}，乙13912345678",
            [("identity_number", IDENTITY), ("mobile_phone", "13912345678")],
        ),
    ],
)  # fmt: skip
def test_personal_data_is_found_where_it_stands(text: str, expected: list) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "110105194912310021",  # wrong check digit
        "11010519491331002X",  # month 13
        "99010519491231002X",  # no such province
        "110105194912310",  # of fifteen digits: no check digit tells it from any number
        "订单号：13812345678",
        "合同编号 13812345678，金额 1 元",
        "tracking number 13812345678",
        "12812345678",  # no network's range
        "138123456789",  # twelve digits
        "圆周率 3.13812345678",
        "2024-13812345678",
        "4539148803436468",  # wrong Luhn digit
        "6222021234567890",  # the same
        "0000000000000000",
        "统一社会信用代码 91110000100000100X",
        "税号91350100M000100Y43",
        "营业收入 1,381,234,5678 元",
        "甲@乙",
        "user@host",
        "2023年12月31日第001号",
    ],
)
def test_what_only_looks_like_it_is_left(text: str) -> None:
    assert found(text) == []


def test_credit_codes_have_their_own_check() -> None:
    assert is_credit_code("91350100M000100Y43")  # the example of GB 32100-2015
    assert not is_credit_code("91350100M000100Y44")


def test_check_digits_tell_one_of_eleven_and_one_of_ten() -> None:
    """By counting: exactly one ending of each number is right."""
    assert sum(is_identity_number(IDENTITY[:17] + end) for end in "0123456789X") == 1
    assert sum(is_bank_card(f"622202123456789012{end}") for end in range(10)) == 1
    # Worked by hand: 4539 1488 0343 6467, the usual example of the algorithm.
    assert luhn_sum("4539148803436467") == 80


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="甲乙0123456789X年 -,。@a.", max_size=60))
def test_masking_changes_nothing_but_the_spans(text: str) -> None:
    text = f"{text}{IDENTITY}乙{text}"
    spans = find_personal_data(text)
    masked = Masker(("identity_number", "mobile_phone", "bank_card", "email"), "name").masked(
        Document(id="a", lang="zh", text=text)
    )
    rest, end = [], 0
    for span in spans:
        rest += [text[end : span.start], "\x00"]
        end = span.end
    expected = "".join([*rest, text[end:]])
    for name in ("[身份证号]", "[手机号]", "[银行卡号]", "[电子邮箱]"):
        masked_text = masked.text.replace(name, "\x00")
        masked = Document(id="a", lang="zh", text=masked_text)
    assert masked.text == expected


def test_equal_values_have_equal_numbers_in_all_rows_and_meta_is_masked_too() -> None:
    masker = Masker(("mobile_phone",), "number")
    first = masker.masked(
        DomainItem(id="1", lang="zh", instruction="13812345678 和 13912345678", input="",
                   output=f"138 1234 5678，{IDENTITY}", history=(("13812345678", "好"),),
                   meta={"电话": [13912345678], "n": 7})
    )  # fmt: skip
    second = masker.masked(
        MultipleChoiceItem(id="2", lang="en", question="13912345678?", choices=("a", "b"), answer=0)
    )
    assert first.instruction == "[手机号1] 和 [手机号2]"
    assert first.output == f"[手机号1]，{IDENTITY}"
    assert first.history == (("[手机号1]", "好"),)
    assert first.meta == {"电话": ["[手机号2]"], "n": 7}
    assert second.question == "[phone number 2]?"
    assert masker.num_masked == {"mobile_phone": 6}
    untouched = Document(id="3", lang="zh", text="无", meta={"a": 1})
    assert masker.masked(untouched) is untouched


def test_evidence_cannot_be_copied() -> None:
    [span] = find_personal_data(IDENTITY)
    assert veiled(span) == "110*************2X"
    [span] = find_personal_data("lilei@example.com")
    assert veiled(span) == "l***@example.com"

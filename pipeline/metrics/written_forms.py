"""One way of writing for characters, dates and amounts: what profile `canonical-v2` compares.

Traditional characters become simplified ones (OpenCC), dates become `2023年12月31日`, Chinese
numerals digits, and an amount with a multiplier its value. Both sides of a pair are written so,
which makes equal what says the same and changes nothing else about the scores.
"""

import re
import unicodedata
from decimal import Decimal
from functools import cache

import opencc

from pipeline.metrics.chinese_numerals import NUMERALS, with_digits

FORMS = 1
"""Part of the profile's signature. Another rule here is another profile, `canonical-v3`."""

_FULL_WIDTH = {0xFEE0 + ord(sign): ord(sign) for sign in "0123456789.%/-"}
_PER_CENT = re.compile("百分之([0-9]+(?:[.][0-9]+)?)")
_MONTH, _DAY = "(0?[1-9]|1[0-2])", "([12][0-9]|3[01]|0?[1-9])"
# A year of two digits, or no separator twice the same, is not surely a date.
_DATE = re.compile(
    rf"(?<![0-9./-])((?:19|20)[0-9]{{2}})([./-]){_MONTH}\2{_DAY}(?![0-9]|[./-][0-9])"
)
_CHARACTER = "[一二三四五六七八九十]"
_CHINESE_DATE = re.compile(
    rf"([0-9]{{4}}年)({_MONTH}|{_CHARACTER})月(?:({_DAY}|{_CHARACTER})[日号])?"
)
_GROUPED_THOUSANDS = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?:,[0-9]{3})+(?![0-9,])")
_NUMBER = r"(?<![0-9.])([0-9]{1,15}(?:\.[0-9]{1,9})?)"
_MULTIPLIERS = {
    "百万": 6, "千万": 7, "百亿": 10, "千亿": 11, "万亿": 12, "万": 4, "亿": 8,
}  # fmt: skip
_AMOUNT = re.compile(
    rf"{_NUMBER}(?:亿{_NUMBER}万|({'|'.join(_MULTIPLIERS)}))(?![{NUMERALS}0-9]|\.[0-9])"
)
_SINGLE = {character: str(value) for value, character in enumerate("一二三四五六七八九十", start=1)}


def one_written_form(text: str) -> str:
    """Returns the text with simplified characters, dates of one form and amounts as digits."""
    folded = unicodedata.normalize("NFC", text).translate(_FULL_WIDTH)
    folded = _simplified().convert(folded)
    folded = _GROUPED_THOUSANDS.sub(lambda number: number[0].replace(",", ""), folded)
    folded = _DATE.sub(r"\1年\3月\4日", folded)
    folded = _PER_CENT.sub(r"\1%", with_digits(folded))
    folded = _CHINESE_DATE.sub(_date, folded)
    return _AMOUNT.sub(_amount, folded)


@cache
def _simplified() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


def _date(match: re.Match[str]) -> str:
    day = f"{_in_digits(match[4])}日" if match[4] else ""
    return f"{match[1]}{_in_digits(match[2])}月{day}"


def _in_digits(part: str) -> str:
    return _SINGLE.get(part, part.lstrip("0"))


def _amount(match: re.Match[str]) -> str:
    high, low, multiplier = match.groups()
    if multiplier is None:
        value = _scaled(high, 8) + _scaled(low, 4)
    else:
        value = _scaled(high, _MULTIPLIERS[multiplier])
    # Without an exponent, and without zeros that say nothing behind the point.
    return f"{value.normalize():f}"


def _scaled(number: str, exponent: int) -> Decimal:
    return Decimal(number).scaleb(exponent)

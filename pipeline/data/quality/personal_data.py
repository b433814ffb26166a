"""Chinese personal data in a text: identity numbers, mobile phones, bank cards, e-mail addresses.

What is found has the right form, check digit and range, stands by itself and is not called a number
of something else (an order, a contract, a credit code) by the words before it. Full-width digits
and the usual gaps (`138 1234 5678`, `6222-0212-...`) are read; positions are those of the text.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.contracts.quality_checks import PersonalKind
from pipeline.data.quality.personal_numbers import (
    is_bank_card,
    is_credit_code,
    is_identity_number,
    is_mobile_phone,
)

_NARROW = str.maketrans(
    {
        ord(wide): unicodedata.normalize("NFKC", wide)
        for wide in map(chr, range(0xFF01, 0xFF5F))
        if wide.isalnum() or wide in "＠．＋－＿"
    }
    | {0x3000: " "}
)
"""Full-width ASCII, punctuation of sentences aside; every character stays one, so that positions
hold."""
_GAP = r"[ -]?"
_ALONE_BEFORE = r"(?<![0-9A-Za-z])(?<![0-9][.,\-_/])"
_ALONE_AFTER = r"(?![0-9A-Za-z])(?![.,\-_/][0-9])"
_CANDIDATES: tuple[tuple[PersonalKind, re.Pattern[str], Callable[[str], bool]], ...] = (
    (
        "identity_number",
        re.compile(
            rf"{_ALONE_BEFORE}(?P<number>[0-9]{{6}}{_GAP}[0-9]{{8}}{_GAP}[0-9]{{3}}[0-9Xx])"
            rf"{_ALONE_AFTER}"
        ),
        is_identity_number,
    ),
    (
        "bank_card",
        re.compile(
            rf"{_ALONE_BEFORE}(?P<number>[0-9]{{15,19}}|[0-9]{{6}}[ -][0-9]{{13}}"
            rf"|[0-9]{{4}}(?:[ -][0-9]{{4}}){{3}}(?:[ -][0-9]{{1,3}})?"
            rf"|[0-9]{{4}}[ -][0-9]{{6}}[ -][0-9]{{5}}){_ALONE_AFTER}"
        ),
        is_bank_card,
    ),
    (
        "mobile_phone",
        re.compile(
            rf"{_ALONE_BEFORE}(?:(?:\+?86|0086){_GAP})?"
            rf"(?P<number>1[0-9]{{2}}{_GAP}[0-9]{{4}}{_GAP}[0-9]{{4}}){_ALONE_AFTER}"
        ),
        is_mobile_phone,
    ),
)
_DIGITS = re.compile(r"[0-9\uff10-\uff19](?:[ \u3000-]?[0-9\uff10-\uff19]){10}")
"""No number looked for has fewer; most texts have none so long and need no closer look."""
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-])"
)
_OTHER_NUMBER = re.compile(
    r"(?:订单|单据|合同|流水|批次|序列|文件|项目|发票|快递|运单|物流|凭证|交易|信用代码|组织机构|"
    r"编码|编号|代码|单号|文号|货号|型号|order|invoice|contract|serial|tracking|code)"
    r"[^0-9。；;，,\n]{0,8}$",
    re.IGNORECASE,
)
_PERSONAL_NUMBER = re.compile(
    r"(?:身份证|公民身份|手机|电话|联系|银行卡|卡号|账号|帐号|phone|mobile|tel|id card)"
    r"[^0-9。；;，,\n]{0,8}$",
    re.IGNORECASE,
)
_CONTEXT = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class PersonalSpan:
    """Where a text holds personal data."""

    kind: PersonalKind
    start: int
    end: int
    value: str
    """Digits alone, or the address in lower case: equal for equal data."""


def find_personal_data(text: str) -> list[PersonalSpan]:
    """All personal data of the text, in order, without overlaps."""
    has_digits = _DIGITS.search(text) is not None
    if not has_digits and "@" not in text and "\uff20" not in text:
        return []
    narrow = text.translate(_NARROW)
    found: list[PersonalSpan] = []
    for kind, pattern, is_right in _CANDIDATES if has_digits else ():
        for match in pattern.finditer(narrow):
            start, end = match.span("number")
            value = re.sub(r"[ -]", "", narrow[start:end]).upper()
            if (
                is_right(value)
                and not _is_called_otherwise(narrow, match.start(), value)
                and not any(start < other.end and other.start < end for other in found)
            ):
                found.append(PersonalSpan(kind=kind, start=start, end=end, value=value))
    found += _addresses(narrow)
    return sorted(found, key=lambda span: span.start)


def veiled(span: PersonalSpan) -> str:
    """The value as evidence shows it: its first three and last two characters, of an address its
    first letter and its domain.
    """
    if span.kind == "email":
        name, _at, domain = span.value.partition("@")
        return f"{name[0]}***@{domain}"
    return f"{span.value[:3]}{'*' * (len(span.value) - 5)}{span.value[-2:]}"


def _is_called_otherwise(text: str, start: int, value: str) -> bool:
    before = text[max(start - _CONTEXT, 0) : start]
    if _PERSONAL_NUMBER.search(before):
        return False
    return bool(_OTHER_NUMBER.search(before)) or (
        is_credit_code(value) and "信用" in text[max(start - 2 * _CONTEXT, 0) : start]
    )


def _addresses(text: str) -> Iterator[PersonalSpan]:
    if "@" in text:  # the pattern is the slowest
        for match in _EMAIL.finditer(text):
            yield PersonalSpan(
                kind="email",
                start=match.start(),
                end=match.end(),
                value=match.group().lower(),
            )

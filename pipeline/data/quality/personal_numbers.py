"""Whether digits are what they look like: check digits, dates, regions and number ranges.

Sources: GB 11643-1999 (identity number; check digit by ISO 7064 MOD 11-2), GB 32100-2015 (unified
social credit code), ISO/IEC 7812-1 (Luhn), the number plan of mobile networks as of 2024.
"""

import re
from datetime import date

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"
_PROVINCE = re.compile(r"1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]")
"""First two digits of GB/T 2260, and those of residence permits (81 to 83)."""
FIRST_YEAR, LAST_YEAR = 1900, 2039
_CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_MOBILE = re.compile(r"1(?:3\d|4[014-9]|5[0-35-9]|6[2567]|7[0-8]|8\d|9[0-35-9])\d{8}")
_CARD_RANGES = (
    ("62", (16, 17, 18, 19)),  # UnionPay
    ("60", (16, 19)),
    ("9558", (19,)),  # ICBC before UnionPay
    ("95599", (19,)),  # ABC before UnionPay
    ("4", (16,)),
    *((str(prefix), (16,)) for prefix in range(51, 56)),
    *((str(prefix), (16,)) for prefix in range(2221, 2721)),
    ("35", (16,)),
    ("34", (15,)),
    ("37", (15,)),
)


def is_identity_number(number: str) -> bool:
    """18 characters with a province, a date of birth that exists and the right check digit."""
    if not re.fullmatch(r"\d{17}[\dXx]", number, re.ASCII):
        return False
    if not _PROVINCE.match(number) or number[2:6] == "0000" or number[14:17] == "000":
        return False
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(int(d) * w for d, w in zip(number, _ID_WEIGHTS, strict=False))
    return FIRST_YEAR <= born.year <= LAST_YEAR and number[17].upper() == _ID_CHECKS[total % 11]


def is_mobile_phone(number: str) -> bool:
    """Eleven digits of a range that mobile networks use."""
    return _MOBILE.fullmatch(number) is not None


def is_bank_card(number: str) -> bool:
    """Digits of a length that their issuer uses, with the right Luhn digit."""
    is_known = any(
        number.startswith(prefix) and len(number) in lengths for prefix, lengths in _CARD_RANGES
    )
    return is_known and len(set(number)) > 2 and luhn_sum(number) % 10 == 0


def luhn_sum(number: str) -> int:
    """Sum of the digits, every second one from the right doubled; a multiple of 10 is right."""
    digits = [int(digit) for digit in reversed(number)]
    return sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])


def is_credit_code(code: str) -> bool:
    """A unified social credit code, which names an organisation: 18 characters, right check."""
    code = code.upper()
    if len(code) != 18 or any(character not in _CREDIT_ALPHABET for character in code):
        return False
    if code[0] not in "159ANY" or not code[2:8].isdigit():
        return False
    total = sum(
        _CREDIT_ALPHABET.index(character) * pow(3, place, 31)
        for place, character in enumerate(code[:17])
    )
    return _CREDIT_ALPHABET[-total % 31] == code[17]

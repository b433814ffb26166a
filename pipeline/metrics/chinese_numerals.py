"""Numbers in Chinese characters, read as the digits that say the same.

Only what can be nothing else is read: whole numerals of two characters or more that keep to the
grammar, so that the last of the two in 'san bai wu' (305 or 350) or of the plan 'shi si wu' (14 and
5) is not guessed at. A single character is read behind 'di' (the article's number in a law).
"""

import re

_DIGITS = {character: value for value, character in enumerate("零一二三四五六七八九")}
_DIGITS |= {"〇": 0, "两": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000}
_MYRIADS = (("亿", 10**8), ("万", 10**4))
NUMERALS = "零〇一二三四五六七八九十百千万亿两点"
"""Every character that can be part of a number."""
_ALONE = f"(?<![{NUMERALS}0-9])"
_ENDED = f"(?![{NUMERALS}0-9])"

_D = "[一二三四五六七八九两]"
_TENS = f"(?:{_D}?十{_D}?)"
_HUNDREDS = f"(?:{_D}百(?:零{_D}|{_D}十{_D}?)?)"
_THOUSANDS = f"(?:{_D}千(?:零(?:{_TENS}|{_D})|{_HUNDREDS})?)"
_SECTION = f"(?:{_THOUSANDS}|{_HUNDREDS}|{_TENS}|{_D})"
_MYRIAD = f"(?:{_SECTION}万(?:零{_SECTION}|{_THOUSANDS})?)"
_BELOW_HUNDRED_MILLION = (
    f"(?:零{_MYRIAD}|零{_SECTION}|{_THOUSANDS}万(?:零{_SECTION}|{_THOUSANDS})?)"
)
_INTEGER = f"(?:(?:{_MYRIAD}|{_SECTION})亿{_BELOW_HUNDRED_MILLION}?|{_MYRIAD}|{_SECTION})"
_DECIMALS = "[零〇一二三四五六七八九]"
_NUMERAL = re.compile(
    # A decimal may stand before a multiplier, which `written_forms` reads with it.
    f"{_ALONE}(?:"
    f"(?P<whole>{_INTEGER}|[零〇])点(?P<decimals>{_DECIMALS}+)(?![零〇一二三四五六七八九十百千两点0-9])"
    f"|(?P<integer>{_INTEGER}){_ENDED})"
)
_YEAR = re.compile(f"{_ALONE}{_DECIMALS}{{4}}(?=年)")
_ORDINAL = re.compile(f"(?<=第)[一二三四五六七八九十]{_ENDED}")


def numeral_value(numeral: str) -> int:
    """Returns the whole number that a Chinese numeral is.

    Args:
        numeral: digits and units; none of it counts as 0.

    Raises:
        KeyError: there is another character in it.
    """
    for unit, size in _MYRIADS:
        high, found, low = numeral.partition(unit)
        if found:
            return numeral_value(high) * size + numeral_value(low)
    total = digit = 0
    for character in numeral:
        if character in _UNITS:
            total += (digit or 1) * _UNITS[character]
            digit = 0
        else:
            digit = _DIGITS[character]
    return total + digit


def with_digits(text: str) -> str:
    """Returns the text with its Chinese numerals as digits, in simplified characters."""
    text = _YEAR.sub(lambda year: "".join(str(_DIGITS[one]) for one in year[0]), text)
    text = _ORDINAL.sub(lambda ordinal: str(numeral_value(ordinal[0])), text)
    return _NUMERAL.sub(_digits, text)


def _digits(match: re.Match[str]) -> str:
    if match["integer"]:
        return str(numeral_value(match[0])) if len(match[0]) > 1 else match[0]
    decimals = "".join(str(_DIGITS[one]) for one in match["decimals"])
    return f"{numeral_value(match['whole'])}.{decimals}"

"""Numbers in Chinese: the formats `[DBNum1]`, `[DBNum2]` and `[DBNum3]`."""

from typing import NamedTuple


class _Numerals(NamedTuple):
    digits: str
    units: tuple[str, str, str, str]
    myriad: str


_NUMERALS = {
    1: _Numerals(
        "\u3007\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d",
        ("", "\u5341", "\u767e", "\u5343"),
        "\u4e07",
    ),
    2: _Numerals(
        "\u96f6\u58f9\u8d30\u53c1\u8086\u4f0d\u9646\u67d2\u634c\u7396",
        ("", "\u62fe", "\u4f70", "\u4edf"),
        "\u4e07",
    ),
    3: _Numerals(
        "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19",
        ("", "\u5341", "\u767e", "\u5343"),
        "\u4e07",
    ),
}
_HUNDRED_MILLION = "\u4ebf"
_TEN = 10


def digit_by_digit(text: str, numerals: int) -> str:
    """Each ASCII digit of the text replaced, as a code number or a year is read."""
    return text.translate(str.maketrans("0123456789", _NUMERALS[numerals].digits))


def counted(number: int, numerals: int) -> str:
    """The whole number as it is counted: ten thousands and hundred millions, zeros said once."""
    if number < _TEN:
        return _NUMERALS[numerals].digits[number]
    return _joined(number, _NUMERALS[numerals])


def counted_date(number: int, numerals: int) -> str:
    """A month, day, hour, minute or second: `[DBNum1]` says ten, not one ten, up to 19."""
    text = counted(number, numerals)
    return text[1:] if numerals == 1 and _TEN <= number < 2 * _TEN else text


def _joined(number: int, words: _Numerals) -> str:
    for size, unit in ((10**8, _HUNDRED_MILLION), (10**4, words.myriad)):
        high, low = divmod(number, size)
        if high:
            text = _joined(high, words) + unit
            if low:
                text += ("" if low * _TEN >= size else words.digits[0]) + _joined(low, words)
            return text
    text = ""
    for position in (3, 2, 1, 0):
        digit = number // 10**position % _TEN
        if digit:
            text += words.digits[digit] + words.units[position]
        elif text and not text.endswith(words.digits[0]) and number % 10**position:
            text += words.digits[0]
    return text

"""How much some bytes look like text in an encoding, as a sum of evidence over their characters.

Each character adds roughly the logarithm of how much likelier it is in text that was decoded
rightly than in text of another encoding: common characters speak for an encoding, rare ones,
private-use ones and damage against it. The weights were set by hand and their errors measured
(docs/data_formats.md); no more than `MAX_SAMPLE_BYTES` are judged.
"""

import codecs
from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType

from pipeline.data.common_characters import COMMON_CHARACTERS

MAX_SAMPLE_BYTES = 1 << 16

_COMMON = 2.0
_PUNCTUATION = 1.0
_OTHER_SYMBOL = -1.0
_USUAL_HAN = -0.5
_OTHER_SCRIPT_HAN = -1.0
_RARE_HAN = -2.8
_DAMAGE = -4.0
_PRIVATE_USE = -6.0
_KANA, _HALF_KANA = 1.5, -1.5
_HANGUL = 0.3
"""One that is not frequent; Chinese text read as Korean has many that are none."""
_CYRILLIC = 0.7
"""A small letter, of one byte; capitals, of which Chinese text gives many, speak against it."""
_UTF8_SEQUENCE = (2.0, 4.0)
"""Of two bytes, of three and more: other bytes are hardly ever valid by accident."""
_CHINESE_PUNCTUATION = frozenset(
    "\u3000\u3001\u3002\u300a\u300b\u300c\u300d\u3010\u3011\u2014\u2018\u2019\u201c\u201d\u2026"
    "\u00b7\uff01\uff05\uff08\uff09\uff0c\uff1a\uff1b\uff1f"
)
_COMMON_HANGUL = frozenset(
    "\uc774\ub2e4\ub294\uc5d0\uc758\uac00\uc744\uace0\ud558\uc9c0\ub85c\ub9ac\uc0ac\uae30\uc740"
    "\ud55c\ub3c4\uc5b4\uc778\uc790\uc2dc\ub098\uc2a4\ub300\uc11c\uadf8\ub77c\uc544\ud574\uc788"
)


def evidence_for(sample: bytes, codec: str) -> float:
    """Sum over the characters of `sample` read with `codec`; positive speaks for it.

    An unfinished character at the end counts as none.
    """
    decoder = codecs.getincrementaldecoder(codec)("replace")
    counts = Counter(decoder.decode(sample[:MAX_SAMPLE_BYTES]))
    weight = _WEIGHTS[codec]
    return sum(count * weight(char) for char, count in counts.items())


def _lead_byte(char: str, codec: str) -> int:
    """First byte of a character of two bytes; 255 of one that the encoding lacks."""
    try:
        encoded = char.encode(codec)
    except UnicodeEncodeError:
        return 255
    return encoded[0] if len(encoded) == 2 else 255


def _han_weight(char: str, codec: str, end_of_usual: int, other: str, other_end: int) -> float:
    if char in COMMON_CHARACTERS:
        return _COMMON
    if _lead_byte(char, codec) < end_of_usual:
        return _USUAL_HAN
    return _OTHER_SCRIPT_HAN if _lead_byte(char, other) < other_end else _RARE_HAN


_GB2312_LEVEL_1, _BIG5_LEVEL_1, _JIS_LEVEL_1 = 0xD8, 0xC7, 0x98
"""One past the lead bytes of the characters each standard calls frequent."""


def _shared_weight(char: str) -> float | None:
    """Of characters that mean the same in each encoding; None for letters and Han."""
    if char < "\x80":
        return _DAMAGE if char == "\0" else 0.0
    if char == "\ufffd":
        return _DAMAGE
    if "\ue000" <= char <= "\uf8ff":
        return _PRIVATE_USE
    if char in _CHINESE_PUNCTUATION:
        return _PUNCTUATION
    if "\u2000" <= char <= "\u27ff" or "\uff01" <= char <= "\uff5e":
        return 0.0
    return None


def _is_han(char: str) -> bool:
    return "\u4e00" <= char <= "\u9fff"


def _is_kana(char: str) -> bool:
    return "\u3041" <= char <= "\u30fe"


def _gb18030(char: str) -> float:
    shared = _shared_weight(char)
    if shared is not None:
        return shared
    if _is_han(char):
        return _han_weight(char, "gb2312", _GB2312_LEVEL_1, "big5", _BIG5_LEVEL_1)
    return _RARE_HAN if char >= "\u3400" else _OTHER_SYMBOL


def _big5(char: str) -> float:
    shared = _shared_weight(char)
    if shared is not None:
        return shared
    if _is_han(char):
        return _han_weight(char, "big5", _BIG5_LEVEL_1, "big5", 0)
    return _OTHER_SYMBOL


def _japanese(char: str) -> float:
    shared = _shared_weight(char)
    if shared is not None:
        return shared
    if _is_kana(char):
        return _KANA
    if _is_han(char):
        return _han_weight(char, "shift_jis", _JIS_LEVEL_1, "shift_jis", 0)
    return _HALF_KANA


def _japanese_of_unix(char: str) -> float:
    # Its characters stand where those of GB2312 do: only kana tell the two apart.
    weight = _japanese(char)
    return _HALF_KANA if weight == _USUAL_HAN else weight


def _korean(char: str) -> float:
    shared = _shared_weight(char)
    if shared is not None:
        return shared
    if "\uac00" <= char <= "\ud7a3":
        return _COMMON if char in _COMMON_HANGUL else _HANGUL
    return _RARE_HAN if _is_han(char) else _OTHER_SYMBOL


def _russian(char: str) -> float:
    if char < "\x80":
        return _shared_weight(char) or 0.0
    if "\u0430" <= char <= "\u044f":
        return _CYRILLIC
    return _HALF_KANA


def _utf8(char: str) -> float:
    if char < "\x80" or char == "\ufffd":
        return _shared_weight(char) or 0.0
    return _UTF8_SEQUENCE[char >= "\u0800"]


def _utf16(char: str) -> float:
    if "\x20" <= char <= "\x7e" or char in "\t\r\n":
        return 0.5
    if char < "\x20" or "\ud800" <= char <= "\udfff":
        return _DAMAGE
    return _japanese(char) if _is_kana(char) else _gb18030(char)


_WEIGHTS: Mapping[str, Callable[[str], float]] = MappingProxyType(
    {
        "utf-8": _utf8,
        "gb18030": _gb18030,
        "cp950": _big5,
        "cp932": _japanese,
        "euc_jp": _japanese_of_unix,
        "euc_kr": _korean,
        "cp1251": _russian,
        "koi8_r": _russian,
        "utf-16-le": _utf16,
        "utf-16-be": _utf16,
    }
)
CODECS = tuple(_WEIGHTS)

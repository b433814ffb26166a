"""The numbers of a Word document's lists and articles, which its text does not hold: 第一条, (a).

The document names a list and a level; how that is counted and written stands in another part.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from xml.etree.ElementTree import Element

BULLET = "\u2022"
_DIGITS = "〇一二三四五六七八九"
_LEGAL_DIGITS = "零壹贰叁肆伍陆柒捌玖"
_STEMS = "甲乙丙丁戊己庚辛壬癸"
_BRANCHES = "子丑寅卯辰巳午未申酉戌亥"
_ROMAN = (
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"),
    (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
)  # fmt: skip
_MAX_COUNT = 9_999
"""Beyond it a number is written in digits, whatever its style."""


def local_name(tag: str) -> str:
    """The name without its namespace: there is one for each of two editions of the format."""
    return tag.rpartition("}")[2]


def attribute(element: Element | Mapping[str, str], name: str) -> str | None:
    """The attribute of this name in whatever namespace; None where there is none."""
    items = element.items()
    return next((value for key, value in items if local_name(key) == name), None)


def child(element: Element | None, name: str) -> Element | None:
    """The first child of this name."""
    if element is None:
        return None
    return next((item for item in element if local_name(item.tag) == name), None)


def value_of(element: Element | None, name: str) -> str | None:
    """`val` of the first child of this name."""
    found = child(element, name)
    return None if found is None else attribute(found, "val")


@dataclass(kw_only=True, slots=True)
class _Level:
    style: str = "decimal"
    pattern: str = ""
    first: int = 1
    paragraph_style: str | None = None


@dataclass(kw_only=True, slots=True)
class _List:
    abstract: str
    levels: dict[int, _Level] = field(default_factory=dict)
    restarts: dict[int, int] = field(default_factory=dict)


class Numbering:
    """Counts the paragraphs of each list, in the order of the text."""

    def __init__(self, root: Element | None) -> None:
        self._lists: dict[str, _List] = {}
        self._counts: dict[str, dict[int, int]] = {}
        self._begun: set[str] = set()
        if root is not None:
            self._read(root)

    def _read(self, root: Element) -> None:
        abstracts = {
            attribute(item, "abstractNumId"): _levels(item)
            for item in root
            if local_name(item.tag) == "abstractNum"
        }
        for item in root:
            number = attribute(item, "numId")
            if local_name(item.tag) != "num" or number is None:
                continue
            abstract = value_of(item, "abstractNumId") or ""
            found = _List(abstract=abstract, levels=dict(abstracts.get(abstract, {})))
            for change in item:
                if local_name(change.tag) == "lvlOverride":
                    level = _integer(attribute(change, "ilvl"))
                    start = value_of(change, "startOverride")
                    if start is not None:
                        found.restarts[level] = _integer(start)
                    found.levels.update(_levels(change))
            self._lists[number] = found

    def level_of_style(self, number: str, style: str) -> int:
        """The level of the list that paragraphs of this style are on; the highest if none is."""
        levels = self._lists[number].levels if number in self._lists else {}
        named = (level for level, own in levels.items() if own.paragraph_style == style)
        return next(named, 0)

    def next_label(self, number: str, level: int) -> str:
        """What stands before the list's next paragraph on this level; empty where nothing does."""
        found = self._lists.get(number)
        if found is None or level not in found.levels:
            return ""
        counts = self._counts.setdefault(found.abstract, {})
        if number not in self._begun:
            self._begun.add(number)
            for other, start in found.restarts.items():
                counts[other] = start - 1
        own = found.levels[level]
        counts[level] = counts.get(level, own.first - 1) + 1
        for deeper in [other for other in counts if other > level]:
            del counts[deeper]
        if own.style == "bullet":
            return BULLET
        label = own.pattern
        for other in range(level + 1):
            place = f"%{other + 1}"
            if place in label:
                shown = found.levels.get(other, _Level())
                count = counts.setdefault(other, shown.first)
                label = label.replace(place, counted(count, shown.style))
        return label


def _levels(item: Element) -> dict[int, _Level]:
    return {
        _integer(attribute(level, "ilvl")): _Level(
            style=value_of(level, "numFmt") or "decimal",
            pattern=value_of(level, "lvlText") or "",
            first=_integer(value_of(level, "start"), 1),
            paragraph_style=value_of(level, "pStyle"),
        )
        for level in item
        if local_name(level.tag) == "lvl"
    }


def _integer(text: str | None, default: int = 0) -> int:
    is_number = text is not None and text.isascii() and text.isdigit() and len(text) < 7
    return int(text) if is_number and text else default


def counted(count: int, style: str) -> str:
    """The number as a list of this style writes it; styles that are not known are in digits."""
    write = _STYLES.get(style)
    return str(count) if write is None or not 0 < count <= _MAX_COUNT else write(count)


def _chinese(count: int, digits: str = _DIGITS, units: str = "十百千") -> str:
    """The number in Chinese: 十二, 一百零五."""
    text = ""
    zero = False
    for place in range(3, -1, -1):
        digit = count // 10**place % 10
        if digit == 0:
            zero = bool(text)
            continue
        text += ("零" if zero else "") + digits[digit] + (units[place - 1] if place else "")
        zero = False
    return text[1:] if 10 <= count < 20 and digits == _DIGITS else text


def _roman(count: int) -> str:
    text = ""
    for number, letters in _ROMAN:
        times, count = divmod(count, number)
        text += letters * times
    return text


def _letters(count: int) -> str:
    """a to z, then aa to zz: the letter repeated, as Word has it."""
    times, index = divmod(count - 1, 26)
    return chr(ord("a") + index) * min(times + 1, 30)


def _enclosed(count: int) -> str:
    return chr(0x2460 + count - 1) if count <= 20 else str(count)


def _among(signs: str) -> Callable[[int], str]:
    return lambda count: signs[(count - 1) % len(signs)]


_STYLES: Mapping[str, Callable[[int], str]] = MappingProxyType(
    {
        "none": lambda count: "",
        "decimalZero": lambda count: f"{count:02}",
        "decimalFullWidth": lambda count: "".join(chr(0xFEE0 + ord(c)) for c in str(count)),
        "decimalEnclosedCircle": _enclosed,
        "decimalEnclosedCircleChinese": _enclosed,
        "upperRoman": _roman,
        "lowerRoman": lambda count: _roman(count).lower(),
        "upperLetter": lambda count: _letters(count).upper(),
        "lowerLetter": _letters,
        "chineseCounting": _chinese,
        "chineseCountingThousand": _chinese,
        "japaneseCounting": _chinese,
        "taiwaneseCountingThousand": _chinese,
        "ideographDigital": lambda count: "".join(_DIGITS[int(c)] for c in str(count)),
        "japaneseDigitalTenThousand": lambda count: "".join(_DIGITS[int(c)] for c in str(count)),
        "chineseLegalSimplified": lambda count: _chinese(count, _LEGAL_DIGITS, "拾佰仟"),
        "ideographTraditional": _among(_STEMS),
        "ideographZodiac": _among(_BRANCHES),
    }
)

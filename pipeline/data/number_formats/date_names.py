"""Names of months, weekdays and halves of the day, in Chinese and English."""

from pipeline.data.number_formats.tokens import UnsupportedFormatError

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_ZH_MONTHS = (
    "\u4e00", "\u4e8c", "\u4e09", "\u56db", "\u4e94", "\u516d", "\u4e03", "\u516b", "\u4e5d",
    "\u5341", "\u5341\u4e00", "\u5341\u4e8c",
)  # fmt: skip
_ZH_WEEKDAYS = ("\u65e5", *_ZH_MONTHS[:6])
_ZH_MONTH = "\u6708"
_ZH_DAY = "\u5468"
_ZH_WEEK = "\u661f\u671f"
_ZH_HALF_DAYS = ("\u4e0a\u5348", "\u4e0b\u5348")
_FULL, _INITIAL = 4, 5


def month_name(month: int, width: int, language: str | None) -> str:
    """`mmm`, `mmmm` and `mmmmm` of a month from 1."""
    if _is_chinese(language):
        if width == _FULL:
            return _ZH_MONTHS[month - 1] + _ZH_MONTH
        return f"{month}{_ZH_MONTH}" if width < _FULL else _ZH_MONTHS[month - 1][0]
    name = _MONTHS[month - 1]
    return {3: name[:3], _INITIAL: name[0]}.get(width, name)


def weekday_name(weekday: int, letters: str, language: str | None) -> str:
    """`ddd`, `dddd`, `aaa` and `aaaa` of a weekday; 0 is Sunday."""
    if letters[0] == "a":
        return ("" if len(letters) < _FULL else _ZH_WEEK) + _ZH_WEEKDAYS[weekday]
    if _is_chinese(language):
        return (_ZH_DAY if len(letters) < _FULL else _ZH_WEEK) + _ZH_WEEKDAYS[weekday]
    name = _WEEKDAYS[weekday]
    return name[:3] if len(letters) < _FULL else name


def half_day_name(letters: str, language: str | None, *, is_afternoon: bool) -> str:
    """The half of the day, as `AM/PM` in the language, or as the two letters or words written."""
    if letters.lower() == "am/pm":
        return (_ZH_HALF_DAYS if _is_chinese(language) else ("AM", "PM"))[is_afternoon]
    return letters.split("/")[is_afternoon]


def _is_chinese(language: str | None) -> bool:
    """Without a language a code has English names, in Chinese programs, too.

    Raises:
        UnsupportedFormatError: names of another language are not known here.
    """
    if language not in {None, "zh", "en"}:
        raise UnsupportedFormatError(language)
    return language == "zh"

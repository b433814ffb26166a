"""Codes of the numbered formats that a workbook names without writing them down."""

from collections.abc import Mapping
from types import MappingProxyType

_YEAR_MONTH = 'yyyy"\u5e74"m"\u6708"'
_MONTH_DAY = 'm"\u6708"d"\u65e5"'
_FULL_DATE = 'yyyy"\u5e74"m"\u6708"d"\u65e5"'
_HALF_DAY = '\u4e0a\u5348/\u4e0b\u5348h"\u65f6"mm"\u5206"'
_HALF_DAY_SECONDS = '\u4e0a\u5348/\u4e0b\u5348h"\u65f6"mm"\u5206"ss"\u79d2"'
_YUAN = '"\u00a5"'

BUILTIN_FORMATS: Mapping[int, str] = MappingProxyType(
    {
        0: "General",
        1: "0",
        2: "0.00",
        3: "#,##0",
        4: "#,##0.00",
        5: f"{_YUAN}#,##0;{_YUAN}\\-#,##0",
        6: f"{_YUAN}#,##0;[Red]{_YUAN}\\-#,##0",
        7: f"{_YUAN}#,##0.00;{_YUAN}\\-#,##0.00",
        8: f"{_YUAN}#,##0.00;[Red]{_YUAN}\\-#,##0.00",
        9: "0%",
        10: "0.00%",
        11: "0.00E+00",
        12: "# ?/?",
        13: "# ??/??",
        14: "yyyy/m/d",
        15: "d-mmm-yy",
        16: "d-mmm",
        17: "mmm-yy",
        18: "h:mm AM/PM",
        19: "h:mm:ss AM/PM",
        20: "h:mm",
        21: "h:mm:ss",
        22: "yyyy/m/d h:mm",
        27: _YEAR_MONTH,
        28: _MONTH_DAY,
        29: _MONTH_DAY,
        30: "m-d-yy",
        31: _FULL_DATE,
        32: 'h"\u65f6"mm"\u5206"',
        33: 'h"\u65f6"mm"\u5206"ss"\u79d2"',
        34: _HALF_DAY,
        35: _HALF_DAY_SECONDS,
        36: _YEAR_MONTH,
        37: "#,##0;\\-#,##0",
        38: "#,##0;[Red]\\-#,##0",
        39: "#,##0.00;\\-#,##0.00",
        40: "#,##0.00;[Red]\\-#,##0.00",
        41: '_ * #,##0_ ;_ * \\-#,##0_ ;_ * "-"_ ;_ @_ ',
        42: f'_ {_YUAN}* #,##0_ ;_ {_YUAN}* \\-#,##0_ ;_ {_YUAN}* "-"_ ;_ @_ ',
        43: '_ * #,##0.00_ ;_ * \\-#,##0.00_ ;_ * "-"??_ ;_ @_ ',
        44: f'_ {_YUAN}* #,##0.00_ ;_ {_YUAN}* \\-#,##0.00_ ;_ {_YUAN}* "-"??_ ;_ @_ ',
        45: "mm:ss",
        46: "[h]:mm:ss",
        47: "mm:ss.0",
        48: "##0.0E+0",
        49: "@",
        50: _YEAR_MONTH,
        51: _MONTH_DAY,
        52: _YEAR_MONTH,
        53: _MONTH_DAY,
        54: _MONTH_DAY,
        55: _HALF_DAY,
        56: _HALF_DAY_SECONDS,
        57: _YEAR_MONTH,
        58: _MONTH_DAY,
    }
)
"""As Excel shows them in simplified Chinese: ECMA-376 part 1, 18.8.30, and its "zh-cn" table."""

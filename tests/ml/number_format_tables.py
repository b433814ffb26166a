"""Workbooks of number formats and values, whose texts LibreOffice wrote.

    python tests/ml/number_format_tables.py FOLDER

writes one workbook a table; `fixtures/number_formats/README.md` says how they became CSV.
"""

import sys
import zipfile
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONSHIPS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


class FormatTable(NamedTuple):
    """Every format applied to every value; a number is one of the numbered formats."""

    formats: tuple[str | int, ...]
    values: tuple[float | str, ...]
    is_1904: bool = False


NUMBERS = FormatTable(
    (
        "General", "0", "0.00", "#,##0", "#,##0.00", "0%", "0.0%", "0.00E+00", "##0.0E+0", "# ?/?",
        "# ??/??", "000000", "#.0#", ".00", "?0.0?", "#,##0,", "0.0,,", "0.00,\"千\"",
        "0\\.0,\"万\"", "0!.0,\"万\"", "000-0000-0000", "\"¥\"#,##0.00", "[$¥-804]#,##0.00",
        "[$￥-804]#,##0.00;[Red]-[$￥-804]#,##0.00", "[$USD] #,##0.00",
        "_ * #,##0.00_ ;_ * -#,##0.00_ ;_ * \"-\"??_ ;_ @_ ", "(#,##0);(#,##0)",
        "#,##0_);(#,##0)", "0;-0;\"零\"", "0;-0;\"零\";\"文本:\"@", "0;0;;@", ";;;",
        "[>=100]\"大\"0;[<0]\"负\"0;\"小\"0", "[<0]-0;0", "[Red]0;[Blue]-0", "[Color10]0.0",
        "General\"元\"", "\"共\"0\"个\"", "+0;-0;0", "0.0\\ \"kg\"", "0元", "0.00万元", "@",
        "\"<\"@\">\"", "0;@", "[DBNum1][$-804]General", "[DBNum2][$-804]General\"元整\"",
        1, 2, 3, 4, 9, 10, 11, 12, 13, 41, 43, 48, 49, 37, 40,
    ),
    (
        0, 1, -1, 0.125, 12.5, 1234.5, -1234.567, 1234567.891, 0.1 + 0.2, 1 / 3, -2 / 3, 1.2345e-5,
        12345678901, 123456789012, 2.675, 0.995, 1e-10, 10, 105, 10050, 120000000, "x", "文字",
    ),
)  # fmt: skip
DATES = FormatTable(
    (
        "yyyy-mm-dd", "yyyy/m/d", 'yyyy"年"m"月"d"日"', "yyyy年m月d日", 'yyyy"年"m"月"', "yy-m-d",
        "mm/dd/yy", "aaa", "aaaa", "[$-804]dddd", "[$-804]mmm", "[$-804]mmmm", "[$-409]d-mmm-yy;@",
        "[$-409]mmmm d, yyyy", "[$-409]dddd", '[DBNum1][$-804]yyyy"年"m"月"d"日";@',
        '[DBNum1][$-804]m"月"d"日";@', "yyyy-mm-dd hh:mm:ss", "yyyy/m/d h:mm;@", "yyyymmdd", "d",
        'yyyy\\-mm\\-dd', "[$-804]yyyy/m/d h:mm AM/PM", 14, 22, 27, 28, 31, 36, 50, 57, 58,
    ),
    (45413, 45413.75, 44927.5, 45291.99999, 36526.123456, 61, 43831.0416666667, 45413.3979166667),
)  # fmt: skip
DATES_1904 = FormatTable(("yyyy-mm-dd", 'm"月"d"日" h:mm', "[h]:mm"), (0.25, 1.5, 43951.75), True)
TIMES = FormatTable(
    (
        "h:mm", "h:mm:ss", "hh:mm", '[$-804]AM/PMh"时"mm"分"', 'h"时"mm"分"ss"秒"', "mm:ss",
        "mm:ss.0", "[h]:mm:ss", "[h]:mm", "[mm]:ss", "[ss]", "[hh]:mm:ss.00", "h:mm:ss.000",
        '[h]"小时"', "[$-409]h:mm:ss AM/PM", 20, 21, 32, 33, 34, 35, 45, 46, 47, 55,
    ),
    (0, 0.5, 0.125, 0.395833333333333, 0.999988425925926, 0.0416666666666667, 1.5, 2.25, 1.0625),
)  # fmt: skip
TABLES = {"numbers": NUMBERS, "dates": DATES, "dates_1904": DATES_1904, "times": TIMES}


def letters(column: int) -> str:
    """Of a column from 1."""
    found = ""
    while column:
        column, rest = divmod(column - 1, 26)
        found = chr(ord("A") + rest) + found
    return found


def write_workbook(path: Path, table: FormatTable) -> Path:
    """A workbook with a row for each format and a column for each value, written by hand."""
    own = [code for code in table.formats if isinstance(code, str)]
    numbers = {code: 164 + index for index, code in enumerate(own)}
    rows = []
    for row in range(1, len(table.formats) + 1):
        cells = [
            _cell(f"{letters(column)}{row}", row, value)
            for column, value in enumerate(table.values, start=1)
        ]
        rows.append(f'<row r="{row}">{"".join(cells)}</row>')
    codes = "".join(
        f'<numFmt numFmtId="{n}" formatCode={quoteattr(c)}/>' for c, n in numbers.items()
    )
    styles = "".join(
        f'<xf numFmtId="{numbers.get(code, code)}" applyNumberFormat="1"/>'
        for code in table.formats
    )
    write_parts(
        path,
        sheets={"S": f"<sheetData>{''.join(rows)}</sheetData>"},
        styles=f"<numFmts>{codes}</numFmts>{_PLAIN}<cellXfs><xf/>{styles}</cellXfs>",
        workbook='<workbookPr date1904="1"/>' if table.is_1904 else "",
    )
    return path


_PLAIN = (
    '<fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="1"><fill><patternFill patternType="none"/></fill></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
)


def _cell(reference: str, style: int, value: float | str) -> str:
    if isinstance(value, str):
        text = f"<is><t>{escape(value)}</t></is>"
        return f'<c r="{reference}" s="{style}" t="inlineStr">{text}</c>'
    return f'<c r="{reference}" s="{style}"><v>{value!r}</v></c>'


def write_parts(
    path: Path,
    *,
    sheets: dict[str, str],
    styles: str = "<cellXfs><xf/></cellXfs>",
    strings: str = "",
    workbook: str = "",
    states: dict[str, str] | None = None,
    method: int = zipfile.ZIP_DEFLATED,
) -> Path:
    """A workbook of the given XML inside its parts; sheets by name, states of those not visible."""
    parts = {"styles": f"<styleSheet xmlns={quoteattr(MAIN)}>{styles}</styleSheet>"}
    parts["sharedStrings"] = f"<sst xmlns={quoteattr(MAIN)}>{strings}</sst>"
    tabs, targets = [], {"styles": "styles.xml", "sharedStrings": "sharedStrings.xml"}
    links = [_link(kind, kind, target) for kind, target in targets.items()]
    for number, (name, content) in enumerate(sheets.items(), start=1):
        part = f"worksheets/sheet{number}"
        parts[part] = f"<worksheet xmlns={quoteattr(MAIN)}>{content}</worksheet>"
        state = f' state="{states[name]}"' if states and name in states else ""
        tabs.append(f'<sheet name={quoteattr(name)} sheetId="{number}"{state} r:id="r{number}"/>')
        links.append(_link(f"r{number}", "worksheet", f"{part}.xml"))
    parts["workbook"] = (
        f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONSHIPS}">{workbook}'
        f"<sheets>{''.join(tabs)}</sheets></workbook>"
    )
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    types = {"workbook": "sheet.main"} | {
        name: "worksheet" if name.startswith("worksheets") else name
        for name in parts
        if name != "workbook"
    }
    overrides = "".join(
        f'<Override PartName="/xl/{name}.xml" ContentType="{kind}.{types[name]}+xml"/>'
        for name in parts
    )
    defaults = (
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
        'relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
    )
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{PACKAGE}/content-types">{defaults}{overrides}</Types>',
        )
        root = _link("r1", "officeDocument", "xl/workbook.xml")
        archive.writestr("_rels/.rels", _links([root]))
        archive.writestr("xl/_rels/workbook.xml.rels", _links(links))
        for name, content in parts.items():
            archive.writestr(f"xl/{name}.xml", content)
    return path


def _link(identifier: str, kind: str, target: str) -> str:
    return f'<Relationship Id="{identifier}" Type="{RELATIONSHIPS}/{kind}" Target="{target}"/>'


def _links(links: list[str]) -> str:
    return f'<Relationships xmlns="{PACKAGE}/relationships">{"".join(links)}</Relationships>'


if __name__ == "__main__":
    for table_name, one_table in TABLES.items():
        write_workbook(Path(sys.argv[1]) / f"{table_name}.xlsx", one_table)

"""Number formats against what LibreOffice shows, and against Excel by hand where they differ."""

import csv
import datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.number_formats.builtin import BUILTIN_FORMATS
from pipeline.data.number_formats.display import NumberFormat, UnsupportedFormatError
from pipeline.data.workbooks.book import Workbook
from tests.ml.number_format_tables import TABLES, write_workbook

FIXTURES = Path(__file__).parent / "fixtures" / "number_formats"
DBNUM1, DBNUM2 = "[DBNum1][$-804]General", '[DBNum2][$-804]General"元整"'
EXCEL_DIFFERS = {
    ("# ?/?", 12345678901): "12345678901    ",
    ("# ?/?", 123456789012): "123456789012    ",
    ("# ??/??", 12345678901): "12345678901      ",
    ("# ??/??", 123456789012): "123456789012      ",
    (12, 12345678901): "12345678901    ",
    (12, 123456789012): "123456789012    ",
    (13, 12345678901): "12345678901      ",
    (13, 123456789012): "123456789012      ",
    ('General"元"', 1e-10): "1E-10元",
    ("@", 1e-10): "1E-10",
    (49, 1e-10): "1E-10",
    ('"<"@">"', 1e-10): "1E-10",
    (DBNUM1, 1e-10): "1E-10",
    (DBNUM2, 1e-10): "1E-10元整",
    ("yyyy-mm-dd hh:mm:ss", 36526.123456): "2000-01-01 02:57:47",
}


def excel_text(code: str | int, value: float | str, shown: str) -> str:
    """What Excel shows, of what LibreOffice does."""
    if (code, value) in EXCEL_DIFFERS:
        return EXCEL_DIFFERS[code, value]
    if code in {14, 22}:
        return shown.replace("-", "/")
    if code in {DBNUM1, DBNUM2}:
        return shown.replace("．", ".").replace("点", ".")
    return shown


@pytest.mark.parametrize("name", TABLES)
def test_cells_are_what_a_spreadsheet_program_shows(tmp_path: Path, name: str) -> None:
    table = TABLES[name]
    with (
        Workbook(write_workbook(tmp_path / "a.xlsx", table)) as book,
        (FIXTURES / f"{name}.csv").open(encoding="utf-8", newline="") as file,
    ):
        (sheet,) = book.sheets
        rows = {row.number: row.cells for row in book.rows(sheet)}
        for number, (code, texts) in enumerate(zip(table.formats, csv.reader(file), strict=True)):
            expected = map(excel_text, [code] * len(texts), table.values, texts)
            found = [rows.get(number + 1, {}).get(index, "") for index in range(len(texts))]
            assert (code, found) == (code, list(expected))


@pytest.mark.parametrize(
    ("code", "value", "text"),
    [
        ("yyyy/m/d", 0, "1900/1/0"),
        ("yyyy/m/d", 59, "1900/2/28"),
        ("yyyy/m/d", 60, "1900/2/29"),
        ("yyyy/m/d", 2958465, "9999/12/31"),
        ("d-mmm-yy", 45413, "1-May-24"),
        ("dddd", 45413, "Wednesday"),
        ("[$-804]ddd", 45413, "周三"),
        ("[$-zh-CN]aaaa", 45413, "星期三"),
        ("[$-1010804]mmmm", 45413, "五月"),
        ("h:mm AM/PM", 0.5, "12:00 PM"),
        ("上午/下午h:mm", 0.75, "下午6:00"),
        ("[$-F800]dddd, mmmm dd, yyyy", 45413, "2024年5月1日"),
        ("[DBNum1]0", 1235, "一二三五"),
        ("[DBNum2]yyyy年m月d日", 45413, "贰零贰肆年伍月壹日"),
        ("[DBNum1]General", 1010, "一千〇一十"),
        ("0.###", 1, "1."),
        ("0%", 1.005, "101%"),
        ("[>100]0.0;0", -1, "-1"),
        ('[=1]"是";[=0]"否";General', -1, "-1"),
        ("General", 110101199001011008, "110101199001011000"),
        ("General", 1e21, "1E+21"),
        ("0", -0.3, "0"),
        ("# ?/4", 1.5, "1 2/4"),
        ("0.00E-00", 12345, "1.23E04"),
    ],
)
def test_excel_by_hand(code: str, value: float, text: str) -> None:
    assert NumberFormat(code).of_number(value) == text


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("yyyy-mm-dd", -1),
        ("yyyy-mm-dd", 2958466),
        ('[=1]"是";[=0]"否"', 2),
        ("ge.m.d", 45413),
        ("[$-40C]mmmm", 45413),
        ("[$-130000]yyyy/m/d", 45413),
        ("[$-2000401]0", 5),
        ("0.0 yyyy", 45413),
    ],
)
def test_what_is_shown_as_nothing_known_is_refused(code: str, value: float) -> None:
    with pytest.raises(UnsupportedFormatError):
        NumberFormat(code).of_number(value)


@given(
    number=st.decimals(min_value=-(10**9), max_value=10**9, places=5),
    places=st.integers(0, 4),
    is_percent=st.booleans(),
)
def test_digits_are_rounded_half_up_and_grouped(
    number: Decimal, places: int, is_percent: bool
) -> None:
    code = "#,##0" + ("." + "0" * places if places else "") + ("%" if is_percent else "")
    scaled = number * 100 if is_percent else number
    step = Decimal(1).scaleb(-places)
    rounded = Decimal(f"{scaled:.15g}").quantize(step, ROUND_HALF_UP)
    expected = f"{rounded or abs(rounded):,f}" + ("%" if is_percent else "")
    assert NumberFormat(code).of_number(float(number)) == expected


@given(seconds=st.integers(61 * 86_400, 2_958_466 * 86_400 - 1))
def test_dates_are_those_of_the_calendar(seconds: int) -> None:
    origin = datetime.datetime(1899, 12, 30, tzinfo=datetime.UTC)
    moment = origin + datetime.timedelta(seconds=seconds)
    shown = NumberFormat("yyyy-mm-dd hh:mm:ss").of_number(float(f"{seconds / 86_400:.15g}"))
    assert shown == f"{moment:%Y-%m-%d %H:%M:%S}"


@given(
    code=st.text(alphabet='0#?,.%/@*_\\"[];-+Eeymdhs$General[DBNum1]>=!\u5e74', max_size=20),
    value=st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_code_shows_a_text_or_is_refused(code: str, value: float) -> None:
    try:
        shown = NumberFormat(code)
        assert isinstance(shown.of_number(value), str)
        assert isinstance(shown.of_text("x"), str)
    except UnsupportedFormatError:
        pass


def test_numbered_formats_are_all_understood() -> None:
    for code in BUILTIN_FORMATS.values():
        assert NumberFormat(code).of_number(1.5)

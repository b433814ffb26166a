"""Workbooks of the kinds that people have: what is stored is what they saw, and what was said."""

import datetime
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contracts.row_errors import RowError
from pipeline.contracts.workbook_notes import WORKBOOK_NOTE_TEXTS
from pipeline.data.import_sources import source_data
from pipeline.data.readers_xlsx import SheetsRead, read_xlsx
from pipeline.data.reading import Reading
from pipeline.data.records import DomainItem
from pipeline.data.workbooks import shared_strings, sheet_rows
from pipeline.data.workbooks.parts import DamagedPartError
from pipeline.data.workbooks.shared_strings import SharedStrings
from tests.ml.number_format_tables import letters, write_parts

HEADER = ["问题", "答案", "备注"]
STYLES = (
    '<numFmts><numFmt numFmtId="164" formatCode="0.0%"/>'
    '<numFmt numFmtId="165" formatCode="000000"/>'
    '<numFmt numFmtId="166" formatCode="ge.m.d"/></numFmts><cellXfs><xf/><xf numFmtId="164"/>'
    '<xf numFmtId="165"/><xf numFmtId="31"/><xf numFmtId="166"/><xf numFmtId="1"/></cellXfs>'
)
ESCAPES = {"&": "&amp;", "<": "&lt;", "_x": "_x005F_x", "\r": "_x000D_"}


class Raw(str):
    """Attributes and content of a cell."""

    __slots__ = ()


def cell_content(text: str) -> str:
    if isinstance(text, Raw):
        return text
    for character, escape in ESCAPES.items():
        text = text.replace(character, escape)
    return f't="inlineStr"><is><t xml:space="preserve">{text}</t></is>'


def sheet(*rows: list[str], first: int = 1, extra: str = "", hidden: int = 0) -> str:
    """A sheet of texts and raw cells."""
    found = []
    for number, cells in enumerate(rows, start=first):
        content = "".join(
            f'<c r="{letters(column)}{number}" {cell_content(cell)}</c>'
            for column, cell in enumerate(cells, start=1)
        )
        state = ' hidden="1"' if number == hidden else ""
        found.append(f'<row r="{number}"{state}>{content}</row>')
    return f"<sheetData>{''.join(found)}</sheetData>{extra}"


def read(path: Path, **options: Any) -> tuple[list[Any], dict[str, dict[str, Any]]]:
    """Rows or errors, and the notes by code."""
    known = SheetsRead()
    rows = list(read_xlsx(path, Reading(kind="domain_test", **options), known))
    for note in known.notes:
        assert WORKBOOK_NOTE_TEXTS[note.code].format_map(note.params)
    return rows, {note.code: note.params for note in known.notes}


def outputs(path: Path, **options: Any) -> list[str]:
    rows, _ = read(path, **options)
    return [row["output"] for _, row in rows]


def test_each_type_of_cell_is_the_text_that_is_seen(tmp_path: Path) -> None:
    cells = {
        's="1"><v>0.125</v>': "12.5%",
        's="2"><v>1</v>': "000001",
        's="3"><v>45413</v>': "2024年5月1日",
        's="3" t="d"><v>2024-05-01</v>': "2024年5月1日",
        "><v>007</v>": "7",
        "><v>0.30000000000000004</v>": "0.3",
        "><v>-1.5E3</v>": "-1500",
        "><v>1_0</v>": "1_0",
        't="b"><v>1</v>': "TRUE",
        't="s"><v>0</v>': "甲乙",
        't="s"><v>1</v>': "a\r\nb_x000D_",
        't="str"><f>"x"&amp;"y"</f><v>xy</v>': "xy",
        "><f>1+1</f><v>2</v>": "2",
        't="inlineStr"><is><r><t>粗</t></r><r><t>体</t></r><rPh sb="0"><t>x</t></rPh></is>': "粗体",
        't="str"><v>110101199001011234</v>': "110101199001011234",
    }
    strings = (
        "<si><r><t>甲</t></r><r><rPr><b/></rPr><t>乙</t></r><rPh sb='0' eb='1'><t>x</t></rPh></si>"
        "<si><t>a_x000D_\nb_x005F_x000D_</t></si>"
    )
    rows = [["问题", "答案"], *([f"Q{index}", Raw(cell)] for index, cell in enumerate(cells))]
    path = write_parts(
        tmp_path / "a.xlsx", sheets={"S": sheet(*rows)}, styles=STYLES, strings=strings
    )
    assert outputs(path) == list(cells.values())


def test_a_formula_that_gives_nothing_is_no_formula_without_a_value(tmp_path: Path) -> None:
    rows = [
        HEADER,
        ["Q", "A", Raw('t="str"><f>IF(1,"")</f><v></v>')],
        ["Q", "A", Raw("><f>NOW()</f><v/>")],
    ]
    found, _ = read(write_parts(tmp_path / "a.xlsx", sheets={"S": sheet(*rows)}))
    assert found[0] == (2, {"instruction": "Q", "output": "A"})
    assert (found[1].code, found[1].column, found[1].value_excerpt) == (
        "xlsx.formula",
        "C3",
        "=NOW()",
    )


def test_what_changes_is_said_of_its_column(tmp_path: Path) -> None:
    rows = [
        HEADER,
        ["Q", Raw('s="1"><v>0.125</v>'), Raw('s="5"><v>110101199001011008</v>')],
        ["Q", Raw('s="4"><v>45413</v>'), Raw('s="5"><v>1.10101199001011E+17</v>')],
    ]
    path = write_parts(tmp_path / "a.xlsx", sheets={"S": sheet(*rows)}, styles=STYLES)
    found, notes = read(path)
    assert [row["meta"]["备注"] for _, row in found] == ["110101199001011000"] * 2
    assert notes["sheet.lost_digits"] == {
        "sheet": "S",
        "column": "C",
        "count": 2,
        "value": "110101199001011000",
    }
    assert notes["sheet.unknown_format"]["format"] == "ge.m.d"
    assert [row["output"] for _, row in found] == ["12.5%", "45413"]
    assert notes["sheet.as_shown"]["stored"] == "110101199001011008"


def test_titles_are_skipped_and_the_header_can_be_named(tmp_path: Path) -> None:
    rows = [
        ["国有企业问答数据集"],
        ["2024年"],
        HEADER,
        ["甲", "乙"],
        ["问题", "答案"],
        ["丙", "丁"],
    ]
    merged = '<mergeCells count="1"><mergeCell ref="A1:C1"/></mergeCells>'
    path = write_parts(tmp_path / "a.xlsx", sheets={"S": sheet(*rows, extra=merged)})
    found, notes = read(path)
    assert (found[0][0], found[0][1]["output"]) == (4, "乙")
    assert notes["sheet.rows_above"]["count"] == 2
    assert outputs(path, header_row=5) == ["丁"]
    (missing,), _ = read(path, header_row=9)
    assert missing.code == "header.row_missing"
    (unknown,), _ = read(path, header_row=1)
    assert unknown.code == "header.missing"
    mapping = {1: "instruction", 2: "output"}
    unnamed = write_parts(
        tmp_path / "b.xlsx", sheets={"S": sheet(["标题"], ["x", "y"], ["甲", "乙"])}
    )
    assert outputs(unnamed, columns_at=mapping) == ["乙"]


def test_columns_without_a_name_and_headers_again(tmp_path: Path) -> None:
    late = [["Q", "A"] for _ in range(30)]
    rows = [HEADER[:2], ["Q", "A", "x"], ["问题", "答案 "], *late, ["Q", "A", "", "", "y"]]
    path = write_parts(tmp_path / "a.xlsx", sheets={"S": sheet(*rows)})
    found, _ = read(path)
    assert found[0][1]["meta"] == {"column_3": "x"}
    assert (found[1].code, found[1].line) == ("csv.header_again", 3)
    assert found[-1][1]["meta"] == {"column_5": "y"}
    assert len(found) == len(rows) - 1


def test_a_merged_text_counts_for_each_of_its_rows(tmp_path: Path) -> None:
    rows = [HEADER, ["Q1", "A1", "章"], ["Q2", "A2"], [], ["Q3", "A3"], ["Q4", "A4"]]
    merged = '<mergeCells><mergeCell ref="C2:C5"/><mergeCell ref="A6:B6"/></mergeCells>'
    path = write_parts(tmp_path / "a.xlsx", sheets={"S": sheet(*rows, extra=merged)})
    found, notes = read(path)
    assert [row.get("meta") for _, row in found] == [{"备注": "章"}] * 3 + [None]
    assert notes["sheet.merged_cells"]["count"] == 2


def test_hidden_rows_and_columns_are_read_and_said(tmp_path: Path) -> None:
    content = sheet(HEADER, ["Q1", "A1", "x"], ["Q2", "A2", "y"], hidden=3)
    columns = '<cols><col min="3" max="16384" hidden="1"/></cols>'
    path = write_parts(tmp_path / "a.xlsx", sheets={"S": columns + content})
    found, notes = read(path)
    assert [row["meta"]["备注"] for _, row in found] == ["x", "y"]
    assert notes["sheet.hidden_rows"]["count"] == 1
    assert notes["sheet.hidden_columns"]["columns"] == "C"


def test_several_sheets_become_one_version(tmp_path: Path) -> None:
    sheets = {
        "甲": sheet(HEADER, ["Q1", "A1"], ["Q2", ""]),
        "空": sheet(),
        "乙": sheet(["标题"], ["答案", "问题"], ["A3", "Q3"], ["", "Q4"]),
        "藏": sheet(HEADER, ["Q5", "A5"]),
    }
    path = write_parts(tmp_path / "a.xlsx", sheets=sheets, states={"藏": "veryHidden"})
    (choice,), _ = read(path)
    assert (choice.code, choice.params["sheets"]) == ("file.sheet_choice", "甲, 乙")
    reading = Reading(kind="domain_test", sheets=("甲", "乙"))
    data = source_data(path, name="a.xlsx", reading=reading)
    found = list(data.items(set()))
    good = [item for item, _ in found if isinstance(item, DomainItem)]
    assert [(item.output, item.meta["sheet"], item.id) for item in good] == [
        ("A1", "甲", "甲/line-2"),
        ("A3", "乙", "乙/line-3"),
    ]
    bad = [(item.file, item.line, row) for item, row in found if isinstance(item, RowError)]
    assert [place[:2] for place in bad] == [("甲", 3), ("乙", 4)]
    assert bad[0][2].cells == ("Q2", "", "")
    assert bad[1][2].text == "\tQ4"
    _, notes = read(path, sheets=("乙",))
    assert notes["workbook.hidden_sheets"]["sheets"] == "藏"
    assert notes["workbook.other_sheets"]["sheets"] == "甲, 空"
    assert outputs(path, sheets=("藏",)) == ["A5"]


def test_only_hidden_content_asks(tmp_path: Path) -> None:
    sheets = {"空": sheet(), "藏": sheet(HEADER, ["Q", "A"])}
    path = write_parts(tmp_path / "a.xlsx", sheets=sheets, states={"藏": "hidden"})
    (error,), _ = read(path)
    assert (error.code, error.params["sheets"]) == ("file.sheet_hidden", "藏")


@settings(deadline=None)
@given(
    table=st.lists(
        st.lists(
            st.text(
                st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\r"),
                max_size=8,
            ),
            min_size=3,
            max_size=3,
        ),
        max_size=6,
    )
)
def test_any_table_of_texts_comes_back_unchanged(
    tmp_path_factory: pytest.TempPathFactory, table: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("tables") / "a.xlsx"
    found, _ = read(write_parts(path, sheets={"S": sheet(HEADER, *table)}))
    expected = [
        (number, {"instruction": q, "output": a} | ({"meta": {"备注": note}} if note else {}))
        for number, (q, a, note) in enumerate(table, start=2)
        if q or a or note
    ]
    assert found == expected


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (sheet(HEADER).replace('r="A1"', 'r="A2"'), "file.xlsx_damaged"),
        (sheet(HEADER).replace('r="B1"', 'r="A1"'), "file.xlsx_damaged"),
        (sheet(HEADER).replace('r="C1"', 'r="XFE1"'), "file.xlsx_damaged"),
        (sheet(HEADER, HEADER).replace('<row r="2"', '<row r="1"'), "file.xlsx_damaged"),
        (sheet(HEADER, [Raw('s="99"><v>1</v>')]), "file.xlsx_damaged"),
        (sheet(HEADER, [Raw('t="s"><v>5</v>')]), "file.xlsx_damaged"),
        (sheet(HEADER).replace('r="C1"', 'r="SG1"'), "header.too_many"),
        (f'<x a="{"y" * (5 << 20)}"/>' + sheet(HEADER), "file.xlsx_damaged"),
        ('<c r="A1"><v>1</v></c>', "file.xlsx_damaged"),
        ("<q>" * 100 + "</q>" * 100, "file.xlsx_damaged"),
        ("".join(f"<q{number}/>" for number in range(25_000)), "file.xlsx_damaged"),
    ],
)
def test_sheets_that_no_program_writes_are_refused(tmp_path: Path, content: str, code: str) -> None:
    path = write_parts(tmp_path / "a.xlsx", sheets={"S": content}, method=zipfile.ZIP_STORED)
    found, _ = read(path)
    assert found[-1].code == code


def test_parts_packed_by_unusual_methods_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    (error,), _ = read(path)
    assert error.code == "file.xlsx_unsafe"


def test_a_sheet_beyond_its_limits_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet_rows, "MAX_CELLS", 60)
    rows = [HEADER, *(["Q", "A"] for _ in range(40))]
    found, _ = read(write_parts(tmp_path / "a.xlsx", sheets={"S": sheet(*rows)}))
    assert [item[0] for item in found[:-1]] == list(range(2, 30))
    assert (found[-1].code, found[-1].params["limit"]) == ("file.too_many_cells", 60)


def test_a_row_that_is_too_long_rejects_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheet_rows, "MAX_ROW_CHARS", 1 << 18)
    long = "长" * (1 << 19)
    content = sheet(HEADER, ["Q", long], ["Q", "A"])
    path = write_parts(tmp_path / "a.xlsx", sheets={"S": content}, method=zipfile.ZIP_STORED)
    found, _ = read(path)
    assert [
        getattr(item, "code", item[0] if isinstance(item, tuple) else "") for item in found
    ] == [
        "row.too_long",
        3,
    ]


def test_texts_beyond_the_memory_stand_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_strings, "MEMORY_BYTES", 1000)
    texts = [f"文{index}" * (index % 7) + "\ud800" for index in range(100)]
    strings = SharedStrings(text for text in texts)
    assert strings[60] == texts[60]
    assert [strings[index] for index in range(100)] == texts
    with pytest.raises(DamagedPartError):
        strings[100]
    strings.close()


def test_dates_of_a_workbook_that_counts_from_1904(tmp_path: Path) -> None:
    days = (datetime.date(2024, 5, 1) - datetime.date(1904, 1, 1)).days
    rows = [["问题", "答案"], ["Q", Raw(f's="3"><v>{days}</v>')]]
    path = write_parts(
        tmp_path / "a.xlsx",
        sheets={"S": sheet(*rows)},
        styles=STYLES,
        workbook='<workbookPr date1904="true"/>',
    )
    assert outputs(path) == ["2024年5月1日"]

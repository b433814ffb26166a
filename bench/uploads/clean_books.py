"""Workbooks, documents, archives and Parquet as people have them."""

import datetime
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import docx
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from openpyxl.worksheet.worksheet import Worksheet

from bench.uploads.cases import Case, asked, case, kept, lines, table
from bench.uploads.pdf_files import pdf
from bench.uploads.workbooks import MAIN, SHEET, STRINGS, sheet, write_members, write_workbook

HEADER = ("问题", "答案")
ONE = asked(("甲", "乙"))
TWO = asked(("甲", "乙"), ("丙", "丁"))
Fill = Callable[[Worksheet], object]


def book(*fills: Fill) -> Callable[[Path], object]:
    """A workbook with a sheet for each of `fills`, as openpyxl writes it."""

    def write(path: Path) -> None:
        workbook = openpyxl.Workbook()
        workbook.remove(workbook.active)
        for number, fill in enumerate(fills, start=1):
            fill(workbook.create_sheet(f"表{number}"))
        workbook.save(path)

    return write


def grid(*rows: Sequence[object]) -> Fill:
    """Rows of cells."""
    return lambda page: [page.append(list(row)) for row in rows]


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _plain_books()
    yield from _shown_values()
    yield from _documents()
    yield from _sets()
    yield from _parquet()


def _plain_books() -> Iterator[Case]:
    pair = ("甲", "乙")
    yield case("plain.xlsx", book(grid(HEADER, pair, ("丙", "丁"))), TWO)
    yield case("named_csv.csv", book(grid(HEADER, pair)), ONE)
    yield case("shared_strings.xlsx", lambda path: write_workbook(path, HEADER, [pair]), ONE)
    yield case("title_row.xlsx", book(grid(("国有企业问答",), HEADER, pair)), ONE)
    yield case("title_merged.xlsx", book(_titled(pair)), ONE)
    yield case("empty_rows.xlsx", book(grid(HEADER, (), pair, (None, None), ("丙", "丁"))), TWO)
    yield case("line_breaks.xlsx", book(grid(HEADER, ("一\n二", "“三”,\t四"))),
               asked(("一\n二", "“三”,\t四")))  # fmt: skip
    yield case("empty_sheet_beside.xlsx", book(grid(HEADER, pair), grid()), ONE)
    yield case(
        "hidden_sheet.xlsx", book(grid(HEADER, pair), _hidden(grid(HEADER, ("丙", "丁")))), ONE
    )
    both = book(grid(HEADER, pair), grid(HEADER, ("丙", "丁")))
    yield case("sheet_chosen.xlsx", both, ONE, sheets=["表1"])
    yield case("two_sheets.xlsx", both,
               kept({"output": "乙", "meta": {"sheet": "表1"}}, {"output": "丁", "meta": {"sheet": "表2"}}),
               sheets=["表1", "表2"])  # fmt: skip
    yield case("equal_names_at.xlsx", book(grid((*HEADER, "打分", "打分"), (*pair, 9, 7))),
               kept({"meta": {"打分": "9"}}), columns_at={"4": "ignore"})  # fmt: skip
    yield case("nameless_column.xlsx", book(grid((*HEADER, None), (*pair, "有误"))),
               kept({"meta": {"column_3": "有误"}}))  # fmt: skip
    rich = "<si><r><t>甲</t></r><r><rPr><b/></rPr><t>方</t></r></si>"
    phonetic = '<si><t>乙</t><rPh sb="0" eb="1"><t>yi</t></rPh></si>'
    yield case("rich_and_phonetic.xlsx", raw_book(rich + phonetic, '<c r="A2" t="s"><v>2</v></c>'
               '<c r="B2" t="s"><v>3</v></c>'), asked(("甲方", "乙")))  # fmt: skip
    yield case("inline.xlsx", raw_book("", '<c r="A2" t="inlineStr"><is><t>甲</t></is></c>'
               '<c r="B2" t="str"><f>1</f><v>乙</v></c>'), ONE)  # fmt: skip
    yield case("escaped_breaks.xlsx", raw_book("<si><t>一_x000D_\n二</t></si>", '<c r="A2" t="s"><v>2</v>'
               '</c><c r="B2" t="inlineStr"><is><t xml:space="preserve"> 乙 </t></is></c>'),
               asked(("一\r\n二", " 乙 ")))  # fmt: skip


def raw_book(strings: str, cells: str) -> Callable[[Path], object]:
    """A header of questions and answers, and row 2 of `cells`; `strings` are numbered from 2."""
    header = "".join(f"<si><t>{name}</t></si>" for name in HEADER)
    first = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
    members = {
        SHEET: sheet(f'{first}<row r="2">{cells}</row>'),
        STRINGS: f'<sst xmlns="{MAIN}">{header}{strings}</sst>',
    }
    return lambda path: write_members(path, members)


def _titled(pair: Sequence[str]) -> Fill:
    def fill(page: Worksheet) -> None:
        page["A1"] = "国有企业问答"
        page.merge_cells("A1:B1")
        for row in (HEADER, pair):
            page.append(list(row))

    return fill


def _hidden(fill: Fill) -> Fill:
    def hidden(page: Worksheet) -> None:
        fill(page)
        page.sheet_state = "hidden"

    return hidden


def _shown_values() -> Iterator[Case]:
    shown: Mapping[str, tuple[object, str, str]] = {
        "percent": (0.125, "0.0%", "12.5%"),
        "date": (datetime.date(2024, 5, 1), 'yyyy"年"m"月"d"日"', "2024年5月1日"),
        "slashed_date": (datetime.date(2024, 5, 1), "yyyy/m/d", "2024/5/1"),
        "leading_zeros": (1, "000000", "000001"),
        "thousands": (1234567.5, "#,##0.00", "1,234,567.50"),
        "truth": (True, "General", "TRUE"),
        "whole": (42, "General", "42"),
        "text_identity": ("110101199001011008", "@", "110101199001011008"),
        "sections": (0, '0;-0;"零"', "零"),
        "time": (datetime.time(9, 30), "h:mm", "9:30"),
        "currency": (1234.5, '"¥"#,##0.00', "¥1,234.50"),
        "negative": (-5.2, "0.0", "-5.2"),
    }
    for name, (value, number_format, text) in shown.items():
        yield case(
            f"shown_{name}.xlsx", book(_formatted(value, number_format)), asked(("甲", text))
        )


def _formatted(value: object, number_format: str) -> Fill:
    def fill(page: Worksheet) -> None:
        grid(HEADER, ("甲",))(page)
        page["B2"] = value
        page["B2"].number_format = number_format

    return fill


TEXT = "第一条 为了规范企业国有资产监督管理，制定本条例。\n第二条 本条例适用于各级政府。\n"


def _documents() -> Iterator[Case]:
    whole = kept({"text": TEXT})
    for name, encoding in (("utf8", "utf-8"), ("bom", "utf-8-sig"), ("gbk", "gbk")):
        yield case(f"{name}.txt", TEXT.encode(encoding), whole, kind="corpus")
    heading = "# 条例\n\n" + TEXT
    yield case("law.md", heading, kept({"text": heading}), kind="corpus")
    yield case("law.docx", _word, kept({"text": "条例\n第一条 总则。\n第二条 适用。", "title": "条例"}),
               kept({"text": "# 条例\n\n第一条 总则。\n\n第二条 适用。"}), kind="corpus")  # fmt: skip
    yield case("report.pdf", pdf(["Boards answer to owners."]), kept({"text": "Boards answer to owners."}),
               kind="corpus")  # fmt: skip


def _word(path: Path) -> None:
    document = docx.Document()
    document.add_heading("条例", level=1)
    document.add_paragraph("第一条 总则。")
    document.add_paragraph("第二条 适用。")
    document.save(str(path))


def archive(members: Mapping[str, bytes | str], **options: int) -> Callable[[Path], object]:
    """A zip file."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in members.items():
                file.writestr(name, content)

    return write


def _sets() -> Iterator[Case]:
    rows = (HEADER, ("甲", "乙"))
    yield case("tables.zip", archive({"a.csv": table(rows), "b.jsonl": lines({"问题": "丙", "答案": "丁"})}),
               TWO)  # fmt: skip
    yield case(
        "folders.zip",
        archive({"一/说明.html": "<p>", "一/a.csv": table(rows, encoding="gbk")}),
        ONE,
    )
    yield case("mac.zip", archive({"a.csv": table(rows), "__MACOSX/._a.csv": b"\0\5\x16\7"}), ONE)
    yield case("documents.zip", archive({"1.txt": TEXT, "2.md": "# 条例\n"}),
               kept({"text": TEXT}, {"text": "# 条例\n"}), kind="corpus")  # fmt: skip


def _parquet() -> Iterator[Case]:
    columns = {"question": ["甲", "丙"], "answer": ["乙", "丁"]}
    yield case("foreign.parquet", lambda path: pq.write_table(pa.table(columns), path), TWO)
    turns = [[{"role": "user", "content": "甲"}, {"role": "assistant", "content": "乙"}]]
    yield case("messages.parquet", lambda path: pq.write_table(pa.table({"messages": turns}), path),
               kept({"messages": turns[0]}), kind="conversations")  # fmt: skip
    yield case("text.parquet", lambda path: pq.write_table(pa.table({"text": [TEXT]}), path),
               kept({"text": TEXT}), kind="corpus")  # fmt: skip

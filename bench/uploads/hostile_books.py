"""Workbooks that lie about their size, carry programs and entities, or hide what they hold."""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bench.uploads.cases import Case, asked, case, kept, refused
from bench.uploads.clean_books import HEADER, book, grid, raw_book
from bench.uploads.workbooks import FRAME, MAIN, SHEET, STRINGS, sheet, write_members

UNSAFE = refused("file.xlsx_unsafe")
DAMAGED = refused("file.xlsx_damaged")
EITHER = (UNSAFE, DAMAGED)
TOO_MUCH = (*EITHER, refused("file.too_many_*"))
ONE = asked(("甲", "乙"))
LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(
        f'<!ENTITY {new} "{f"&{old};" * 10}">'
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]>"
)
FILE_ENTITY = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
ROW = (
    '<row r="1"><c r="A1" t="inlineStr"><is><t>问题</t></is></c><c r="B1" t="inlineStr"><is><t>答案</t></is></c></row>'
    '<row r="2"><c r="A2" t="inlineStr"><is><t>甲</t></is></c><c r="B2" t="inlineStr"><is><t>乙</t></is></c></row>'
)
GOOD: Mapping[str, str] = {SHEET: sheet(ROW), STRINGS: f'<sst xmlns="{MAIN}"/>'}


def members(changes: Mapping[str, str | bytes]) -> Callable[[Path], object]:
    """The good workbook but for some members."""
    return lambda path: write_members(path, {**GOOD, **changes})


def cases() -> Iterator[Case]:
    """All of them."""
    yield case("good.xlsx", members({}), ONE)
    for name, part in (
        ("strings", STRINGS),
        ("sheet", SHEET),
        ("book", "xl/workbook.xml"),
        ("styles", "xl/styles.xml"),
    ):
        content = {**FRAME, **GOOD}[part]
        for kind, start in (
            ("laughs", LAUGHS),
            ("file_entity", FILE_ENTITY),
            ("empty_dtd", "<!DOCTYPE x []>"),
        ):
            harmless = (ONE,) if kind == "empty_dtd" else ()
            yield case(
                f"{kind}_in_{name}.xlsx", members({part: start + content}), *EITHER, *harmless
            )
        yield case(f"cut_off_{name}.xlsx", members({part: content[: len(content) // 2]}), *EITHER)
    yield case(
        "macro.xlsm", members({"xl/vbaProject.bin": b"\xd0\xcf"}), refused("file.xlsx_macro")
    )
    yield case(
        "macro_named.xlsx", members({"xl/vbaProject.bin": b"\xd0\xcf"}), refused("file.xlsx_macro")
    )
    yield case("bomb.xlsx", members({SHEET: sheet(ROW + " " * (60 << 20))}), UNSAFE, is_large=True)
    yield case("bomb_of_strings.xlsx", members({STRINGS: f'<sst xmlns="{MAIN}">' + "<si><t/></si>" * 4_000_000 + "</sst>"}),
               UNSAFE, is_large=True)  # fmt: skip
    dimension = sheet(ROW).replace("<sheetData>", '<dimension ref="A1:XFD1048576"/><sheetData>')
    yield case("dimension_lies.xlsx", members({SHEET: dimension}), ONE)
    yield case("row_of_a_billion.xlsx", members({SHEET: sheet(ROW + '<row r="1000000000"><c t="inlineStr"><is><t>x</t>'
               "</is></c></row>")}), *TOO_MUCH, asked(("甲", "乙"), codes=["file.*"]))  # fmt: skip
    far = ROW.replace('r="B2"', 'r="ZZZZZZ2"')
    yield case(
        "column_far_away.xlsx",
        members({SHEET: sheet(far)}),
        *EITHER,
        kept(codes=["*"]),
        refused("file.too_many_*"),
    )
    yield case("merged_billions.xlsx", members({SHEET: sheet(ROW).replace("</sheetData>", "</sheetData><mergeCells>"
               '<mergeCell ref="C1:XFD1048576"/></mergeCells>')}), ONE, *TOO_MUCH)  # fmt: skip
    header = '<c r="A2" t="s"><v>%s</v></c><c r="B2" t="inlineStr"><is><t>乙</t></is></c>'
    for name, index in (
        ("beyond", "99"),
        ("negative", "-1"),
        ("no_number", "x"),
        ("huge", "9" * 30),
    ):
        yield case(f"string_{name}.xlsx", raw_book("", header % index), DAMAGED, kept(codes=["*"]))
    yield case("formula_without_value.xlsx", book(grid(HEADER, ("甲", "=1+1"), ("丙", "丁"))),
               asked(("丙", "丁"), codes=["xlsx.formula"]))  # fmt: skip
    error = '<c r="A2" t="s"><v>0</v></c><c r="B2" t="e"><v>#N/A</v></c>'
    yield case("error_value.xlsx", raw_book("", error), kept(codes=["xlsx.error_value"]))
    external = '<c r="A2" t="s"><v>0</v></c><c r="B2" t="str"><f>[1]x!A1</f></c>'
    yield case("external_link.xlsx", raw_book("", external), kept(codes=["xlsx.formula"]))
    yield case(
        "two_sheets.xlsx",
        book(grid(HEADER, ("甲", "乙")), grid(HEADER, ("丙", "丁"))),
        refused("file.sheet_choice"),
    )
    yield case("sheet_missing.xlsx", members({}), refused("file.sheet_missing"), sheets=["没有"])
    all_hidden = FRAME["xl/workbook.xml"].replace("<sheet ", '<sheet state="hidden" ')
    yield case("all_hidden.xlsx", members({"xl/workbook.xml": all_hidden}), refused("file.*"))
    very = FRAME["xl/workbook.xml"].replace("<sheet ", '<sheet state="veryHidden" ')
    yield case("very_hidden.xlsx", members({"xl/workbook.xml": very}), refused("file.*"))
    none = FRAME["xl/workbook.xml"].replace('<sheet name="Sheet1" sheetId="1" r:id="rId1"/>', "")
    yield case("no_sheet.xlsx", members({"xl/workbook.xml": none}), refused("file.*"))
    yield case("empty_sheet.xlsx", members({SHEET: sheet("")}), refused("file.*"))
    away = FRAME["xl/_rels/workbook.xml.rels"].replace(
        "worksheets/sheet1.xml", "../../../../etc/passwd"
    )
    yield case(
        "part_outside.xlsx", members({"xl/_rels/workbook.xml.rels": away}), refused("file.*")
    )
    yield case("no_workbook_part.xlsx", _without("xl/workbook.xml"), refused("file.*"))
    yield case("no_sheet_part.xlsx", _without(SHEET), refused("file.*"))
    yield case("no_styles.xlsx", _without("xl/styles.xml"), ONE, DAMAGED)
    yield case("cut_off.xlsx", _changed(lambda data: data[: len(data) // 2]), refused("file.*"))
    yield case("wrong_sum.xlsx", _changed(_flip), refused("file.*"))
    yield case(
        "password.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000), refused("file.*")
    )
    yield case("encrypted_members.xlsx", _changed(_encrypted), refused("file.*"))
    yield case("members_of_one_name.xlsx", _twice, *EITHER, ONE)
    wide = "".join(f'<c r="A{n}" t="inlineStr"><is><t>x</t></is></c>' for n in range(3))
    yield case("cells_of_other_rows.xlsx", members({SHEET: sheet(ROW + f'<row r="3">{wide}</row>')}), *EITHER,
               asked(("甲", "乙"), codes=["*"]))  # fmt: skip
    rows = "".join(f'<row r="{n}"><c r="A{n}" s="0"/></row>' for n in range(3, 300_000))
    yield case(
        "300000_empty_rows.xlsx", members({SHEET: sheet(ROW + rows)}), ONE, *TOO_MUCH, is_large=True
    )
    wide = "".join(f'<c t="inlineStr"><is><t>{n}</t></is></c>' for n in range(600))
    yield case(
        "600_columns.xlsx",
        members({SHEET: sheet(f'<row r="1">{wide}</row>')}),
        refused("header.too_many"),
    )


def _without(name: str) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for member, content in {**FRAME, **GOOD}.items():
                if member != name:
                    archive.writestr(member, content)

    return write


def _twice(path: Path) -> None:
    write_members(path, GOOD)
    with zipfile.ZipFile(path, "a") as archive:
        archive.filelist[0].filename, kept_name = "x", archive.filelist[0].filename
        archive.NameToInfo.pop(SHEET, None)
        archive.writestr(SHEET, sheet(ROW))
        archive.filelist[0].filename = kept_name


def _changed(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        write_members(path, GOOD)
        path.write_bytes(change(path.read_bytes()))

    return write


def _flip(data: bytes) -> bytes:
    """The content of the sheet no longer has its checksum."""
    place = data.index(SHEET.encode()) + len(SHEET) + 40
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def _encrypted(data: bytes) -> bytes:
    """The flag of encryption in every local header and directory entry."""
    changed = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(signature)
        while place >= 0:
            changed[place + offset] |= 1
            place = data.find(signature, place + 4)
    return bytes(changed)

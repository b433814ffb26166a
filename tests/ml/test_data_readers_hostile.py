"""The readers on hostile and damaged files: a stable code, a place, a remedy, and nothing lost."""

import io
import itertools
import json
import string
import tracemalloc
import zipfile
from dataclasses import asdict
from pathlib import Path

import openpyxl
import pytest

from pipeline.contracts.references import DatasetRef
from pipeline.contracts.row_error_phrases import ROW_ERROR_PHRASES, UNSAFE_ENTITIES
from pipeline.contracts.row_errors import ROW_ERROR_TEXTS, RowError, excerpt
from pipeline.data import csv_records, json_values, json_window, text_lines
from pipeline.data.datasets import read_rows
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from pipeline.data.records import Document, DomainItem
from pipeline.errors import DataError

GOOD = b'{"id": "g%d", "lang": "en", "instruction": "Q", "input": "", "output": "A"}'
CHINESE = "\u56fd\u6709\u4f01\u4e1a"


def errors_of(path: Path, kind: str = "domain_test", **options: object) -> list[RowError]:
    rows = list(scan_rows(path, Reading(kind=kind, **options)))
    errors = [row for row in rows if isinstance(row, RowError)]
    for error in errors:
        assert error.message
        assert error.hint
        assert "{" not in error.message.replace("{", "", error.value_excerpt.count("{") + 1)
        json.dumps(asdict(error))
    return errors


def only_error(path: Path, kind: str = "domain_test", **options: object) -> RowError:
    (error,) = errors_of(path, kind, **options)
    return error


def row(**changes: object) -> bytes:
    fields = {"id": "a", "lang": "en", "instruction": "Q", "input": "", "output": "A"}
    return json.dumps({**fields, **changes}).encode()


BAD_LINES = {
    "json.syntax": b'{"id": "a" "lang": "en"}',
    "json.not_object": b'["a", "b"]',
    "json.duplicate_key": b'{"id": "a", "id": "b", "instruction": "Q", "output": "A"}',
    "json.number": b'{"id": "a", "instruction": "Q", "output": "A", "x": NaN}',
    "json.too_deep": b'{"instruction": "Q", "output": "A", "x": ' + b"[" * 70 + b"]" * 70 + b"}",
    "row.field_missing": b'{"id": "a", "instruction": "Q"}',
    "row.required_empty": row(output=" \n"),
    "row.type": row(output=7),
    "row.enum": row(lang="fr"),
    "row.id_duplicate": row(id="g1"),
    "row.nul_character": row(output="a\x00b"),
    "row.lone_surrogate": row(output="a\ud800b"),
    "row.mojibake": row(output="a\ufffdb"),
    "row.encoding": b'{"id": "a", "output": "\xff\xfe"}',
}


@pytest.mark.parametrize("code", BAD_LINES)
def test_one_bad_line_rejects_itself_only(tmp_path: Path, code: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([GOOD % 1, BAD_LINES[code], b"", GOOD % 2]))
    rows = list(scan_rows(path, Reading(kind="domain_test")))
    assert [isinstance(item, RowError) for item in rows] == [False, True, False]
    (error,) = errors_of(path)
    assert (error.code, error.line) == (code, 2)


@pytest.mark.parametrize("code", sorted(set(BAD_LINES) - {"json.syntax", "row.encoding"}))
def test_one_bad_element_rejects_itself_only(tmp_path: Path, code: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"[" + b",\n".join([GOOD % 1, BAD_LINES[code], GOOD % 2]) + b"]")
    rows = list(scan_rows(path, Reading(kind="domain_test")))
    assert [isinstance(item, RowError) for item in rows] == [False, True, False]
    assert (errors_of(path)[0].code, errors_of(path)[0].line) == (code, 2)


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        (b'{"id": "a" "lang": "en"}', 12, "a comma is missing"),
        (b'{"id": "a"', 11, "a comma is missing"),
        (b'{"id": "a}', 8, "the string that begins here is not closed"),
        (b'{"id": "a\tb"}', 10, "a line break, tab or control character is not escaped"),
        (b'{"id": "a"} x', 13, "something follows the end of the object"),
        (b"{'id': 1}", 2, "a key in double quotes is missing"),
        (b'{"id" "a"}', 7, "a colon is missing after the key"),
        (b'{"id": }', 8, "a value is missing"),
        (rb'{"id": "\x"}', 9, "the backslash escape is not valid"),
        (rb'{"id": "\uZZ"}', 10, "the \\u escape needs four hexadecimal digits"),
    ],
)
def test_json_syntax_names_column_and_reason(
    tmp_path: Path, line: bytes, column: int, reason: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line)
    error = only_error(path)
    assert (error.params["char"], error.params["reason"]) == (column, reason)
    assert reason in ROW_ERROR_PHRASES


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "9" * 5000, "1" + "0" * 18])
def test_numbers_that_cannot_be_stored(tmp_path: Path, number: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"instruction": "Q", "output": "A", "x": ' + number + "}")
    assert only_error(path).code == "json.number"


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_hundred_thousand_levels(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    deep = '{"x": ' + "[" * 100_000 + "]" * 100_000 + "}"
    path.write_text(deep if name == "a.jsonl" else f"[{deep}]")
    assert errors_of(path)[0].code == "json.too_deep"


def test_depth_limit_is_exact_and_brackets_in_text_do_not_count(tmp_path: Path) -> None:
    def nested(levels: int) -> bytes:
        value = "[" * levels + "]" * levels
        return b'{"text": "' + b"[" * 99 + b'", "x": ' + value.encode() + b"}"

    path = tmp_path / "a.jsonl"
    path.write_bytes(nested(json_values.MAX_DEPTH - 1))
    assert errors_of(path, "corpus") == []
    path.write_bytes(nested(json_values.MAX_DEPTH))
    assert only_error(path, "corpus").code == "json.too_deep"


def test_long_lines_are_rejected_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_lines, "MAX_ROW_BYTES", 1 << 20)
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        GOOD % 1 + b"\n" + b"x" * (40 << 20) + b"\n" + GOOD % 2 + b"\n" + b"{" * (3 << 20)
    )
    tracemalloc.start()
    errors = errors_of(path, encoding="utf-8")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [(error.code, error.line) for error in errors] == [
        ("row.too_long", 2),
        ("row.too_long", 4),
    ]
    assert peak < 16 << 20


@pytest.mark.parametrize(
    ("content", "code", "line", "column"),
    [
        (b'[{"id": "a"},\n {"id" 1}]', "file.array_syntax", 2, 8),
        (b'[\n{"instruction": "Q", "output": "A"}\n', "file.array_syntax", 3, 1),
        (b'[{"instruction": "Q", "output": "A"},]', "file.array_syntax", 1, 38),
        (b'[{"instruction": "Q", "output": "A"}] x', "file.array_syntax", 1, 39),
    ],
)
def test_broken_array_says_where(
    tmp_path: Path, content: bytes, code: str, line: int, column: int
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    error = errors_of(path)[-1]
    assert (error.code, error.line, error.params["char"]) == (code, line, column)


def test_place_in_an_array_survives_the_moving_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_window, "_READ_CHARS", 7)
    path = tmp_path / "a.json"
    path.write_bytes(b"[\n" + b",\n".join(GOOD % i for i in range(20)) + b',\n {"id" 1}]')
    error = errors_of(path)[-1]
    assert (error.line, error.params["char"]) == (22, 8)


def test_gb18030_read_as_utf8_names_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    line = json.dumps({"id": "a", "instruction": "Q", "output": CHINESE}, ensure_ascii=False)
    path.write_bytes(GOOD % 1 + b"\n" + line.encode("gb18030") + b"\n")
    assert errors_of(path) == []
    error = only_error(path, encoding="utf-8")
    assert (error.code, error.line) == ("row.encoding_gb18030", 2)
    offset = path.read_bytes().index(CHINESE.encode("gb18030"))
    with pytest.raises(DataError, match="encoding: gb18030") as caught:
        read_rows(DatasetRef(path=str(path), kind="domain_test"), DomainItem)
    assert caught.value.code == "data.encoding"
    assert f"a.jsonl:2: byte offset {offset}" in str(caught.value)
    ref = DatasetRef(path=str(path), kind="domain_test", encoding="gb18030")
    assert read_rows(ref, DomainItem)[1].output == CHINESE


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "file.empty"),
        (b" \n\t\n", "file.empty"),
        (b"\xef\xbb\xbf", "file.empty"),
        (b"%PDF-1.7\n1 0 obj", "file.document_damaged"),
        (b"<!DOCTYPE html><html>", "file.type"),
        (b"<?xml version='1.0'?>", "file.type"),
        (b"\x1f\x8b\x08\x00", "file.type"),
        (b"PAR1\x15\x04", "file.parquet_damaged"),
        (b"\x80\x02}q\x00X\x04\x00\x00\x00\x01\x02\x03\x04\x05\x06\x0e\x0f\x10", "file.type"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "file.xlsx_old"),
    ],
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.xlsx"])
def test_wrong_content_is_refused_whatever_its_name(
    tmp_path: Path, name: str, content: bytes, code: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    error = only_error(path, "corpus")
    assert error.code == code
    assert error.is_about_file
    assert error.params.get("detected", "binary data") in ROW_ERROR_PHRASES


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("question,answer\nQ,A,extra\n", "csv.columns", 2),
        ("question,answer\nQ\n", "csv.columns", 2),
        ('question,answer\n"Q,A\nQ,A\n', "csv.quote", 2),
        ('question,answer\n"Q"x,A\n', "csv.quote", 2),
        ("question,answer\nQ,\n", "row.required_empty", 2),
        ("question,answer,lang\nQ,A,fr\n", "row.enum", 2),
        ("question,comment\nQ,A\n", "header.missing", 1),
        ("question,answer,Answer\nQ,A,A\n", "header.duplicate", 1),
        ("question,answer" + ",x" * 600 + "\n", "header.too_many", 1),
    ],
)
def test_damaged_csv(tmp_path: Path, text: str, code: str, line: int) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    error = only_error(path)
    assert (error.code, error.line) == (code, line)


def test_csv_goes_on_after_a_line_that_cannot_be_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"question,answer\nQ1,A\nQ2,\xff\nQ3,A\n")
    rows = list(scan_rows(path, Reading(kind="domain_test")))
    assert [isinstance(item, RowError) for item in rows] == [False, True, False]
    assert (rows[1].code, rows[1].line, rows[1].params["byte"]) == ("row.encoding", 3, 4)


def test_unknown_mapping_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("question,answer\nQ,A\n")
    error = only_error(path, columns={"gold": "output"})
    assert (error.code, error.params["header"]) == ("header.unknown_mapping", "gold")


def conversation(*roles: str) -> bytes:
    return json.dumps({"messages": [{"role": role, "content": "x"} for role in roles]}).encode()


@pytest.mark.parametrize(
    ("line", "code", "column"),
    [
        (conversation("user", "assistant", "user"), "row.last_turn", None),
        (conversation("user", "user", "assistant"), "row.turn_order", None),
        (conversation("assistant"), "row.turn_order", None),
        (conversation("user", "critic"), "row.enum", "messages.1.role"),
        (conversation("system"), "row.last_turn", None),
        (b'{"messages": []}', "row.required_empty", "messages"),
        (b'{"messages": "x"}', "row.type", "messages"),
        (b'{"messages": ["x"]}', "row.type", "messages.0"),
        (b'{"messages": [{"role": "user"}]}', "row.field_missing", "messages.0.content"),
        (b'{"chat": []}', "row.layout", None),
    ],
)
def test_conversations_that_teach_nothing(
    tmp_path: Path, line: bytes, code: str, column: str | None
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line)
    error = only_error(path, "conversations")
    assert (error.code, error.column) == (code, column)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"answer": 2}, "row.answer_range"),
        ({"answer": -1}, "row.answer_range"),
        ({"answer": "C"}, "row.answer_range"),
        ({"answer": True}, "row.type"),
        ({"answer": None}, "row.required_empty"),
        ({"choices": ["x"]}, "row.choices"),
        ({"choices": ["x", "x"]}, "row.choices"),
        ({"choices": ["x", 3]}, "row.type"),
    ],
)
def test_multiple_choice_faults(tmp_path: Path, changes: dict[str, object], code: str) -> None:
    path = tmp_path / "a.jsonl"
    fields = {"question": "Q", "choices": ["x", "y"], "answer": 0}
    path.write_text(json.dumps({**fields, **changes}))
    assert only_error(path, "multiple_choice").code == code


def workbook(path: Path, rows: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    for cells in rows:
        book.active.append(cells)
    book.save(path)
    return path


def replace_member(path: Path, name: str, content: bytes) -> Path:
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members[name] = content
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return path


def test_xlsx_formula_without_value_is_an_error_of_its_row(tmp_path: Path) -> None:
    header = ["question", "answer"]
    path = workbook(
        tmp_path / "a.xlsx", [header, ["Q", "A"], ["Q", "=1+1"], ["Q", "#N/A"], ["Q", ""]]
    )
    found = [(error.code, error.line) for error in errors_of(path)]
    assert found == [("xlsx.formula", 3), ("xlsx.error_value", 4), ("row.required_empty", 5)]
    assert errors_of(path)[0].params["cell"] == "B3"


BILLION_LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
    b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>&b;</t></si></sst>'
)
XXE = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
    b'<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">&a;</workbook>'
)


@pytest.mark.parametrize(
    ("member", "content", "code"),
    [
        ("xl/worksheets/sheet1.xml", BILLION_LAUGHS, "file.xlsx_unsafe"),
        ("xl/workbook.xml", XXE, "file.xlsx_unsafe"),
        ("[Content_Types].xml", XXE, "file.xlsx_unsafe"),
        ("docProps/core.xml", XXE, "file.xlsx_unsafe"),
        ("xl/worksheets/sheet1.xml", b"0" * (60 << 20), "file.xlsx_unsafe"),
        ("xl/vbaProject.bin", b"x", "file.xlsx_macro"),
        ("xl/worksheets/sheet1.xml", b"<worksheet", "file.xlsx_damaged"),
        ("xl/workbook.xml", b"<workbook/>", "file.empty"),
        ("xl/styles.xml", b"\xff\xfe", "file.xlsx_damaged"),
    ],
)
def test_hostile_workbooks_are_refused(
    tmp_path: Path, member: str, content: bytes, code: str
) -> None:
    path = workbook(tmp_path / "a.xlsx", [["question", "answer"], ["Q", "A"]])
    error = errors_of(replace_member(path, member, content))[-1]
    assert error.code == code
    assert error.params.get("reason", ROW_ERROR_PHRASES[0]) in ROW_ERROR_PHRASES


def test_entities_in_shared_strings_are_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [["question", "answer"], ["Q", "A"]])
    with zipfile.ZipFile(path) as archive:
        types = archive.read("[Content_Types].xml")
    override = (
        b'<Override PartName="/xl/sharedStrings.xml" ContentType="application/vnd.openxmlformats-'
        b'officedocument.spreadsheetml.sharedStrings+xml"/></Types>'
    )
    replace_member(path, "[Content_Types].xml", types.replace(b"</Types>", override))
    replace_member(path, "xl/sharedStrings.xml", BILLION_LAUGHS)
    error = errors_of(path)[-1]
    assert (error.code, error.params["reason"]) == ("file.xlsx_unsafe", UNSAFE_ENTITIES)


def test_sheet_with_a_row_number_of_a_billion_ends_at_the_limit(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [["question", "answer"], ["Q", "A"]])
    with zipfile.ZipFile(path) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
    sheet = sheet.replace(b'r="2"', b'r="999999999"').replace(b'r="A2"', b'r="A999999999"')
    replace_member(path, "xl/worksheets/sheet1.xml", sheet)
    assert [error.code for error in errors_of(path)] == ["file.too_many_rows"]


def test_zip_that_is_no_workbook(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.jsonl", "{}")
    assert only_error(path).params["detected"] == "a zip archive"
    path.write_bytes(path.read_bytes()[:-30])
    assert only_error(path).code == "file.xlsx_damaged"


def test_several_sheets_need_a_choice(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["question", "answer"])
    book.create_sheet("second").append(["question", "answer"])
    book["second"].append(["Q", "A"])
    buffer = io.BytesIO()
    book.save(buffer)
    path = tmp_path / "a.xlsx"
    path.write_bytes(buffer.getvalue())
    assert only_error(path).code == "file.sheet_choice"
    assert [
        record.output for record in scan_rows(path, Reading(kind="domain_test", sheets=("second",)))
    ] == ["A"]
    assert only_error(path, sheets=("third",)).code == "file.sheet_missing"


@pytest.mark.parametrize(
    ("content", "code", "text"),
    [
        (b"", "data.empty", "no rows"),
        (b"%PDF-1.7", "data.format_unsupported", "a PDF document"),
        (b"PK\x03\x04broken", "data.format_unsupported", "workbook cannot be read"),
        (GOOD % 1 + b'\n{"id": "a" "b"}', "data.json_syntax", "a.jsonl:2:12: column 12"),
        (b'{"id": "a"}\n' * 7, "data.row_invalid", "and 2 more"),
        (GOOD % 1 + b"\n\xff", "data.encoding", "byte offset"),
    ],
)
def test_strict_reading_raises_what_to_do(
    tmp_path: Path, content: bytes, code: str, text: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_rows(DatasetRef(path=str(path), kind="domain_test"), DomainItem)
    assert caught.value.code == code
    assert text in str(caught.value)


def test_missing_file_and_directory(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(DataError) as caught:
            read_rows(DatasetRef(path=str(path), kind="corpus"), Document)
        assert caught.value.code == "data.not_found"


def test_excerpts_are_short_and_printable() -> None:
    assert excerpt("a\x1b[31m\r\n\u202e") == "a\\u001b[31m\\u000d\\u000a\\u202e"
    assert len(excerpt("x" * 10_000_000)) == 80
    assert len(excerpt([["x"] * 1000] * 1000)) <= 80


def test_every_code_names_its_params_consistently() -> None:
    for code, text in ROW_ERROR_TEXTS.items():
        names = {name for template in text for _, name, _, _ in string.Formatter().parse(template)}
        assert all(name is None or name.isidentifier() for name in names), code


def test_every_code_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data_formats.md").read_text("utf-8")
    assert [code for code in ROW_ERROR_TEXTS if f"`{code}`" not in page] == []


def test_a_quote_that_is_not_closed_costs_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = csv_records.MAX_RECORD_LINES + 50_000
    path.write_bytes(b'instruction,output\nQ,A\n"Q,A\n' + b"x\n" * lines + b"Q,A\n")
    tracemalloc.start()
    try:
        rows = list(itertools.islice(scan_rows(path, Reading(kind="domain_test")), 2))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert isinstance(rows[0], DomainItem)
    assert isinstance(rows[1], RowError)
    assert (rows[1].code, rows[1].line) == ("csv.quote", 3)
    assert rows[1].params["lines"] == csv_records.MAX_RECORD_LINES + 1

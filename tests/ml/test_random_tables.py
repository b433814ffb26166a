"""Random tables, written in every format and encoding, come back as they were."""

import csv
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import openpyxl
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.cell import WriteOnlyCell

from pipeline.contracts.row_errors import RowError
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from pipeline.data.records import DomainItem
from pipeline.data.version_files import RowWriter

HEADER = ("问题", "答案", "来源")
Row = tuple[str, str, str]
Rows = Sequence[Row]
ALPHABET = "国资委监管问答ab01 ,;|\t\"'=+-@\\/{}[]:“”…—𠮷😀é\u200b\u2028\u3000"
BREAKS = "\n\r"


def texts(alphabet: str, *, may_be_blank: bool = False) -> st.SearchStrategy[str]:
    found = st.text(alphabet, max_size=12)
    return found if may_be_blank else found.filter(str.strip)


def tables(alphabet: str) -> st.SearchStrategy[list[Row]]:
    source = texts(alphabet, may_be_blank=True)
    # What a header says again is no row.
    row = st.tuples(texts(alphabet), texts(alphabet), source).filter(lambda row: row != HEADER)
    return st.lists(row, min_size=1, max_size=6)


def read_back(name: str, write: Callable[[Path], object], **options: str) -> list[Row | RowError]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        write(path)
        return [
            item if isinstance(item, RowError) else as_row(item)
            for item in scan_rows(path, Reading(kind="domain_test", **options))
        ]


def as_row(item: object) -> Row:
    assert isinstance(item, DomainItem)
    return item.instruction, item.output, item.source


@settings(max_examples=40, deadline=None)
@given(
    tables(ALPHABET + BREAKS),
    st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16"]),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
)
def test_csv_in_every_encoding(rows: Rows, encoding: str, delimiter: str, end: str) -> None:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([HEADER, *rows])
    data = file.getvalue().encode(encoding)
    said = {"delimiter": delimiter, "encoding": encoding.removesuffix("-sig")}
    assert read_back("a.csv", lambda path: path.write_bytes(data), **said) == list(rows)
    # Without a word about it the rows are the same, or the file asks.
    found = read_back("a.csv", lambda path: path.write_bytes(data))
    asks = len(found) == 1 and isinstance(found[0], RowError) and found[0].is_about_file
    assert asks or found == list(rows)


@settings(max_examples=40, deadline=None)
@given(tables(ALPHABET), st.sampled_from(["\n", "\r\n", "\r"]))
def test_csv_with_every_line_end(rows: Rows, end: str) -> None:
    file = io.StringIO()
    csv.writer(file, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([HEADER, *rows])
    data = file.getvalue().encode()
    assert read_back("a.csv", lambda path: path.write_bytes(data)) == list(rows)


@settings(max_examples=40, deadline=None)
@given(
    tables(ALPHABET + BREAKS),
    st.booleans(),
    st.sampled_from(["lines", "array", "pretty", "wrapped", "objects"]),
    st.sampled_from(["utf-8", "utf-8-sig", "gb18030"]),
)
def test_json_in_every_shape(rows: Rows, is_ascii: bool, shape: str, encoding: str) -> None:
    objects = [dict(zip(("instruction", "output", "source"), row, strict=True)) for row in rows]

    def dumped(value: object, indent: int | None = None) -> str:
        return json.dumps(value, ensure_ascii=is_ascii, indent=indent)

    text = {
        "lines": "\n".join(map(dumped, objects)),
        "array": dumped(objects),
        "pretty": dumped(objects, 2),
        "wrapped": dumped({"data": objects}, 1),
        "objects": "\n".join(dumped(each, 4) for each in objects),
    }[shape]
    data = text.encode(encoding)
    said = encoding.removesuffix("-sig")
    name = "a.jsonl" if shape == "lines" else "a.json"
    assert read_back(name, lambda path: path.write_bytes(data), encoding=said) == list(rows)


@settings(max_examples=40, deadline=None)
@given(tables(ALPHABET + "\n"))
def test_workbooks(rows: Rows) -> None:
    def write(path: Path) -> None:
        workbook = openpyxl.Workbook(write_only=True)
        sheet = workbook.create_sheet()
        for row in (HEADER, *rows):
            cells = [WriteOnlyCell(sheet, text) for text in row]
            for cell in cells:
                cell.data_type = "s"  # not a formula
            sheet.append(cells)
        workbook.save(path)

    assert read_back("a.xlsx", write) == list(rows)


@settings(max_examples=40, deadline=None)
@given(tables(ALPHABET + BREAKS))
def test_versions(rows: Rows) -> None:
    def write(path: Path) -> None:
        with RowWriter(path, "domain_test") as writer:
            for number, (question, answer, source) in enumerate(rows):
                item = DomainItem(
                    id=str(number), lang="zh", instruction=question, input="", output=answer,
                    source=source,
                )  # fmt: skip
                writer.append(item)

    assert read_back("a.parquet", write) == list(rows)

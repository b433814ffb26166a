"""Tables as experts save them: other line ends, titles, names with marks, files put together."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.contracts.import_specs import ReadingOptions
from pipeline.contracts.returned_tables import csv_cell
from pipeline.contracts.row_errors import RowError
from pipeline.data.import_sources import source_data
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading

ROW = "甲,乙"


def rows_of(path: Path, content: str | bytes, kind: str = "domain_test", **options) -> list:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(scan_rows(path, Reading(kind=kind, **options)))


@pytest.mark.parametrize(
    "content",
    [
        "问题,答案\r甲,乙\r",
        "问题,答案\r\n甲,乙\r",
        "问题,答案\n\r\n甲,乙",
        "sep=,\n问题,答案\n甲,乙\n",
        "\ufeffsep=;\r\n问题;答案\r\n甲;乙\r\n",
        '"sep=\t"\n问题\t答案\n甲\t乙\n',
        "问题|答案\n甲|乙\n",
        "国有企业问答数据集（2024年）,\n问题,答案\n甲,乙\n",
        "标题：一; 二; 三,\n填表单位,国资委\n\n问题,答案\n甲,乙\n",
        "问题（必填）,答案*\n甲,乙\n",
        "\u200b问 题,＊答　案【选填】：\n甲,乙\n",
        "q,A\n甲,乙\n",
        "问,标准答案\n甲,乙\n",
        "提示词,期望输出,\n甲,乙,\n",
        "问题,答案\n甲,乙,,\n",
        "\ufeff问题\t答案\r\n甲\t乙\r\n".encode("utf-16-le"),
        "\ufeff问题,答案\n甲,乙".encode("gb18030"),
    ],
)
def test_an_everyday_table_is_read(content: str | bytes, tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path / "table.csv", content)
    assert not isinstance(row, RowError), row.message
    assert (row.instruction, row.output, row.meta) == ("甲", "乙", {})


@pytest.mark.parametrize(
    ("content", "line", "code"),
    [
        ("问题,答案\n甲,乙\n\ufeff问题,答案\n丙,丁\n", 3, "csv.header_again"),
        ("问题,答案\n甲,乙\n问题（必填）,答案\n丙,丁\n", 3, "csv.header_again"),
        ("问题,答案,来源\n甲,乙,丙\n甲,乙\n丁,戊,己\n", 3, "csv.columns"),
        ("问题,答案\r甲,乙\r甲\r丙,丁\r", 3, "csv.columns"),
    ],
)
def test_a_row_that_does_not_fit_is_rejected(content, line, code, tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "table.csv", content)
    assert [isinstance(row, RowError) for row in rows] == [False, True, False]
    assert (rows[1].code, rows[1].line) == (code, line)


@pytest.mark.parametrize(
    ("name", "content", "codes"),
    [
        ("a.csv", "问题,答案\n", ["file.empty"]),
        ("a.csv", "国资问答\n问题,答案\n\n", ["file.empty"]),
        ("a.json", "[ ]", ["file.empty"]),
        ("a.csv", "标题\n说明,备注\n甲,乙\n", ["header.missing"]),
        ("a.csv", "问题,参考答案,标准答案\n甲,乙,丙\n", ["header.duplicate"]),
        ("a.csv", "问题\udcff,答案\n甲,乙\n", ["row.encoding", "header.unreadable"]),
        ("a.xls", "<table><tr><td>问题</td></tr></table>", ["file.type"]),
        ("a.xls", "<HTML><head></head></HTML>", ["file.type"]),
    ],
)
def test_a_file_that_cannot_be_read_says_why(name, content, codes, tmp_path: Path) -> None:
    rows = rows_of(tmp_path / name, content.encode("utf-8", "surrogateescape"))
    assert [row.code for row in rows] == codes
    if codes == ["header.missing"]:
        assert (rows[0].line, rows[0].params["headers"]) == (2, "说明, 备注")


def test_columns_of_one_name_and_of_none_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    content = "问题,答案,打分,打分,\n甲,乙,9,7,题目有误\n"
    (row,) = rows_of(path, content)
    assert row.meta == {"打分": "9", "打分_2": "7", "column_5": "题目有误"}
    (row,) = rows_of(path, content, columns_at={3: "ignore", 4: "ignore", 5: "meta.note"})
    assert row.meta == {"note": "题目有误"}
    meanings = source_data(path, name="table.csv", reading=Reading(kind="domain_test")).columns()
    assert meanings[3:] == [("打分", "meta.打分_2"), ("", "meta.column_5")]


def test_a_position_settles_what_two_columns_could_mean(tmp_path: Path) -> None:
    content = "问题,参考答案,标准答案\n甲,乙,丙\n"
    (row,) = rows_of(tmp_path / "table.csv", content, columns_at={3: "output"})
    assert (row.output, row.meta) == ("丙", {"参考答案": "乙"})


def test_a_name_is_mapped_whatever_marks_it_has(tmp_path: Path) -> None:
    content = "咨询事项（必填）,处理意见\n甲,乙\n"
    mapping = {"咨询事项": "instruction", "处理意见 ": "output"}
    (row,) = rows_of(tmp_path / "table.csv", content, columns=mapping)
    assert (row.instruction, row.output) == ("甲", "乙")


def test_what_was_found_is_told(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("国资问答\nsep\n问题;答案\n甲;乙\n", encoding="gbk")
    reading = Reading.of(ReadingOptions(), "domain_test")
    data = source_data(path, name=path.name, reading=reading)
    form = data.table_form
    assert (data.encoding, data.found_encoding.reason) == ("gb18030", "plausible")
    assert (form.delimiter, form.delimiter_reason) == (";", "names_columns")
    assert (form.header_row, form.header_reason) == (3, "names_columns")


CELLS = st.text(
    st.sampled_from("'=+-@\t\r\n\" 甲,") | st.characters(exclude_categories=["Cs", "Cc"]),
    min_size=1,
    max_size=8,
).filter(lambda text: text.strip("\ufeff \t\r\n\x0b\x0c") and text.strip())


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=4))
def test_cells_of_a_table_that_was_given_out_come_back(tmp_path_factory, cells) -> None:
    path = tmp_path_factory.getbasetemp() / "rejected.csv"
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["问题", "答案", "__line", "__code"])
    writer.writerows([*map(csv_cell, row), "2", "row.mojibake"] for row in cells)
    rows = rows_of(path, "\ufeff" + text.getvalue())
    assert [(row.instruction, row.output) for row in rows] == cells
    assert {len(row.meta) for row in rows} == {0}

"""What a person says of a table: its delimiter, its header row, and what each column is."""

from pathlib import Path

import pytest

from pipeline.contracts.row_errors import RowError
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from pipeline.data.records import DomainItem

QUESTIONS = "domain_test"


def table(tmp_path: Path, text: str, **options: object) -> list[object]:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return list(scan_rows(path, Reading(kind=QUESTIONS, **options)))


def test_a_position_goes_before_a_name(tmp_path: Path) -> None:
    """Of columns with one name each has a meaning of its own."""
    text = "问题,答案,备注,备注\n甲,乙,丙,丁\n"
    (row,) = table(
        tmp_path, text, columns={"备注": "meta.note"}, columns_at={3: "ignore", 4: "source"}
    )
    assert isinstance(row, DomainItem)
    assert (row.source, row.meta) == ("丁", {})


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_was_chosen(tmp_path: Path, delimiter: str) -> None:
    others = "".join(d for d in ",;\t|" if d != delimiter)
    text = f"问题{others}{delimiter}答案\n甲{others}{delimiter}乙\n"
    (row,) = table(tmp_path, text, delimiter=delimiter, columns_at={1: "instruction"})
    assert (row.instruction, row.output) == (f"甲{others}", "乙")


def test_rows_above_the_chosen_header_are_titles(tmp_path: Path) -> None:
    text = "国资监管问答,\n二〇二四年,\n\n问题,答案\n甲,乙\n"
    (row,) = table(tmp_path, text, header_row=4)
    assert (row.id, row.instruction) == ("line-5", "甲")


def test_positions_do_not_make_a_title_the_header(tmp_path: Path) -> None:
    text = "国资监管问答,\n咨询事项,处理意见\n甲,乙\n"
    (row,) = table(tmp_path, text, columns_at={1: "instruction", 2: "output"})
    assert (row.instruction, row.output) == ("甲", "乙")


def test_a_header_far_below_is_read_as_it_is_split(tmp_path: Path) -> None:
    text = "说明,一,二\n" * 500 + "问题;答案\n甲,乙;丙\n"
    (row,) = table(tmp_path, text, header_row=501)
    assert (row.id, row.instruction, row.output) == ("line-502", "甲,乙", "丙")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"header_row": 9}, "header.row_missing"),
        ({"columns_at": {3: "source"}}, "header.unknown_position"),
        ({"columns_at": {1: "output"}}, "header.missing"),
    ],
)
def test_what_a_person_said_wrong_is_told(tmp_path: Path, options, code: str) -> None:
    (error,) = table(tmp_path, "问题,答案\n甲,乙\n", **options)
    assert isinstance(error, RowError)
    assert error.code == code
    assert error.message
    assert error.hint

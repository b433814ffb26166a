"""Cells that are given out and come back are what they were."""

from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.contracts.returned_tables import (
    csv_cell,
    is_returned,
    original_cell,
    workbook_cell,
)

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
CELLS = st.text(st.sampled_from(["'", "a", " ", *FORMULA_STARTS]), max_size=5) | st.text(max_size=9)


@given(CELLS)
@example("'=1+1")
@example("- \u7532")
@example("''@")
def test_a_cell_comes_back_as_it_was(cell: str) -> None:
    assert original_cell(csv_cell(cell)) == cell
    assert original_cell(workbook_cell(cell)) == cell


@given(CELLS)
def test_no_cell_of_a_csv_file_is_run(cell: str) -> None:
    assert not csv_cell(cell).startswith(FORMULA_STARTS)


def test_what_a_person_sees_in_a_workbook_is_the_cell_itself() -> None:
    assert workbook_cell("=SUM(A1)") == "=SUM(A1)"


def test_our_files_are_recognised_by_their_report() -> None:
    assert is_returned(["\u95ee\u9898", "__code"])
    assert not is_returned(["\u95ee\u9898", "code"])

"""The benchmark of imports: every arm reads the same rows, and figures are told by their names."""

from pathlib import Path

import openpyxl

from bench import upload
from bench.uploads.files import HEADER, is_wrong, rows, write_xlsx


def test_both_arms_find_the_same_rows(tmp_path: Path) -> None:
    arguments = ["--divided-by", "1000", "--repeats", "1", "--formats", "xlsx"]
    result = upload.run([*arguments, "--work", str(tmp_path)])
    arms = ["ours", "rival", "lean_rival"]
    assert [row[:3] for row in result.table.rows] == [["xlsx", 100, arm] for arm in arms]
    assert set(result.ratios) == {"xlsx_100_ours_vs_rival", "xlsx_100_ours_vs_lean_rival"}
    assert result.figures["xlsx_100_ours_rows_per_second"] > 0
    assert 0 < result.figures["xlsx_100_ours_first_error_seconds"] < 30
    assert result.failures == []
    assert list(tmp_path.iterdir()) == []


def test_the_workbook_is_one_that_others_read(tmp_path: Path) -> None:
    write_xlsx(tmp_path / "a.xlsx", 12, seed=1)
    header, *cells = openpyxl.load_workbook(tmp_path / "a.xlsx").active.values
    assert header == HEADER
    written = list(rows(12, seed=1))
    assert [row[0] for row in cells] == [row.id for row in written]
    assert [row[2] or "" for row in cells] == [row.answer for row in written]
    assert [number for number in range(1, 13) if is_wrong(number)] == [10]

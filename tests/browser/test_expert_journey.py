"""An expert with a workbook of ten troubles: in Chinese, by keyboard alone, to a version."""

import csv
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Locator, Page, expect

from pipeline.contracts.stored_rows import row_texts
from studio.accounts.models import Role
from studio.datasets.models import DatasetVersion, Import, Preview

pytestmark = [pytest.mark.browser, pytest.mark.recipes, pytest.mark.slow]
FIXTURE = Path(__file__).parent / "fixtures" / "expert_questions"
MAX_TABS = 150
FIRST_ROW = 3
"""Of the sheet's rows, from 0, the first below the header."""
MEANINGS = ("id", "instruction", "output", "meta", "meta", "meta", "meta", "ignore", "meta")
STORED = (
    "id", "instruction", "output", "meta.日期", "meta.编码", "meta.证件号", "meta.备注", None,
    "meta.column_9",
)  # fmt: skip
MERGED = {("2", "meta.备注"): "一类企业"}
"""(row, field) -> what the merged cell shows, which the export has in its first row only."""


@pytest.fixture
def project(transactional_db, factories):
    return factories.make_project(name="国资央企知识问答")


@pytest.fixture
def expert(project, factories):
    return factories.make_user("lina", project=project, role=Role.EXPERT)


def test_every_cell_of_the_version_is_what_the_spreadsheet_shows(
    page: Page, expert, factories, sign_in
) -> None:
    sign_in(expert)
    page.goto("/p/alpha/datasets/")
    _press(page, page.get_by_role("link", name="上传文件"))
    _send(page)
    factories.execute(Preview.objects.get().run)

    # Which of the sheets is asked; the hidden one is said.
    expect(page.get_by_text("有多个工作表含有内容")).to_be_visible()
    _press(page, page.get_by_label("问答", exact=True), "Space")
    _press(page, page.get_by_role("button", name="重新显示各行"))
    expect(page.get_by_text("正在等待空闲的工作进程")).to_be_visible()
    factories.execute(Preview.objects.latest("pk").run)
    expect(page.get_by_text("2024年度国资监管问答汇总")).to_be_visible()
    expect(page.get_by_text(re.compile("旧数据")).first).to_be_visible()

    for number, meaning in enumerate(MEANINGS):
        _choose(page, page.locator(f"#id_column_{number}"), meaning)
    _press(page, page.get_by_role("button", name="检查全部行"))
    expect(page.get_by_text("正在等待空闲的工作进程")).to_be_visible()
    factories.execute(Import.objects.get().run)

    expect(page.get_by_role("heading", name="尚未生成版本")).to_be_visible()
    assert not DatasetVersion.objects.exists()
    _press(page, page.get_by_label(re.compile("2 行未保留")), "Space")
    _press(page, page.get_by_role("button", name=re.compile("第 1 版")))
    expect(page.get_by_text("已保存 6 行，作为“workbook”第 1 版")).to_be_visible()
    assert _stored(DatasetVersion.objects.get()) == _shown()


def _send(page: Page) -> None:
    """The workbook is chosen and sent, as questions and answers."""
    with page.expect_file_chooser() as chooser:
        _press(page, page.get_by_label("文件", exact=True), "Enter")
    chooser.value.set_files(FIXTURE / "workbook.xlsx")
    kind = page.get_by_label("问答", exact=True)
    _reach(page, page.get_by_role("radio").first)
    for _kind in range(8):
        if kind.is_checked():
            break
        page.keyboard.press("ArrowDown")
    expect(kind).to_be_checked()
    _press(page, page.get_by_role("button", name="上传并预览"))
    expect(page.get_by_text("正在等待空闲的工作进程")).to_be_visible()


def _reach(page: Page, target: Locator) -> None:
    """The keyboard is at `target`, by the tabulator key alone."""
    expect(target).to_be_visible()
    for _tab in range(MAX_TABS):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{target} is out of reach of the keyboard")


def _press(page: Page, target: Locator, key: str = "Enter") -> None:
    _reach(page, target)
    page.keyboard.press(key)


def _choose(page: Page, select: Locator, value: str) -> None:
    _reach(page, select)
    if select.input_value() == value:
        return
    page.keyboard.press("Home")
    for _choice in range(20):
        if select.input_value() == value:
            return
        page.keyboard.press("ArrowDown")
    raise AssertionError(f"{value} cannot be chosen")


def _stored(version: DatasetVersion) -> list[dict[str, str]]:
    rows = pq.read_table(version.rows_path).to_pylist()
    return [{name: text for name, text in row_texts(row).items() if name != "lang"} for row in rows]


def _shown() -> list[dict[str, str]]:
    """The export's rows that have an answer without an error, by the field they are stored as."""
    with (FIXTURE / "shown.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[FIRST_ROW:]
    shown = []
    for cells in rows:
        named = {name: cell for name, cell in zip(STORED, cells, strict=True) if name}
        named |= {field: text for (row, field), text in MERGED.items() if row == cells[0]}
        if named["output"] not in ("", "#N/A"):
            shown.append({name: cell for name, cell in named.items() if cell})
    return shown

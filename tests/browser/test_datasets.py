"""Uploading in a real browser: the report appears by itself, pages are accessible."""

import re

import pytest
from playwright.sync_api import Page, expect

from studio.accounts.models import Role
from studio.datasets.models import Import

pytestmark = pytest.mark.browser


@pytest.fixture
def project(transactional_db, factories):
    return factories.make_project(name="国资央企知识问答")


@pytest.fixture
def expert(project, factories):
    return factories.make_user("lina", project=project, role=Role.EXPERT)


def test_the_report_of_an_upload_appears_by_itself(
    page: Page, expert, factories, sign_in, tmp_path
) -> None:
    path = tmp_path / "基金问答.csv"
    path.write_text(factories.TABLE, encoding="gb18030")
    sign_in(expert)
    page.goto("/p/alpha/datasets/")
    page.get_by_role("link", name="上传文件").click()
    page.get_by_label("文件", exact=True).set_input_files(path)
    page.get_by_label("问答", exact=True).check()
    page.get_by_label("保留正确的行", exact=True).check()
    page.get_by_role("button", name="上传并检查").click()
    expect(page.get_by_text("正在等待空闲的工作进程")).to_be_visible()
    factories.execute(Import.objects.get().run)
    expect(page.get_by_role("heading", name="2 行已成为 基金问答 的第 1 版")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("3 答案 答案 为空"))).to_be_visible()
    page.get_by_role("link", name="打开该版本").click()
    page.get_by_role("link", name="line-2").click()
    expect(page.get_by_text("Q1")).to_be_visible()


@pytest.mark.accessibility
@pytest.mark.parametrize(
    ("language", "theme", "width"), [("zh-hans", "light", 1280), ("en", "dark", 390)]
)
def test_pages_are_accessible_and_never_scroll_sideways(
    page: Page, project, expert, factories, sign_in, assert_accessible, language, theme, width
) -> None:
    sign_in(expert, language=language, theme=theme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/p/alpha/datasets/")
    assert_accessible()
    started = factories.make_import(project, expert)
    waiting = factories.start_import(project, expert, "问题\nQ\n", dataset_name="Waiting")
    refused = factories.start_import(project, expert, "问题,备注\nQ,A\n", dataset_name="Refused")
    factories.execute(refused.run)
    version = started.run.dataset_version
    for path in (
        "",
        "upload/",
        f"{started.dataset_id}/",
        f"imports/{started.pk}/",
        f"imports/{waiting.pk}/",
        f"imports/{refused.pk}/",
        f"imports/{refused.pk}/again/",
        f"versions/{version.pk}/",
        f"versions/{version.pk}/rows/0/",
    ):
        page.goto(f"/p/alpha/datasets/{path}")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        assert_accessible()

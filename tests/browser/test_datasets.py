"""Uploading in a real browser: the report appears by itself, pages are accessible."""

import re

import pytest
from playwright.sync_api import Page, expect

from studio.accounts.models import Role
from studio.datasets.models import Import, Preview
from studio.datasets.previews import check_start

pytestmark = pytest.mark.browser


@pytest.fixture
def project(transactional_db, factories):
    return factories.make_project(name="国资央企知识问答")


@pytest.fixture
def expert(project, factories):
    return factories.make_user("lina", project=project, role=Role.EXPERT)


def test_preview_and_report_of_an_upload_appear_by_themselves(
    page: Page, expert, factories, sign_in, tmp_path
) -> None:
    path = tmp_path / "基金问答.csv"
    path.write_text(factories.TABLE, encoding="gb18030")
    sign_in(expert)
    page.goto("/p/alpha/datasets/")
    page.get_by_role("link", name="上传文件").click()
    page.get_by_label("文件", exact=True).set_input_files(path)
    page.get_by_label("问答", exact=True).check()
    page.get_by_role("button", name="上传并预览").click()
    expect(page.get_by_text("正在等待空闲的工作进程")).to_be_visible()
    factories.execute(Preview.objects.get().run)
    expect(page.get_by_role("cell", name="Q3", exact=True)).to_be_visible()
    page.get_by_role("button", name="检查全部行").click()
    expect(page.get_by_text("正在等待空闲的工作进程")).to_be_visible()
    factories.execute(Import.objects.get().run)
    expect(page.get_by_role("row", name=re.compile("3 答案 答案 为空"))).to_be_visible()
    page.get_by_role("button", name=re.compile("第 1 版")).click()
    expect(page.get_by_text("请先确认不保留错误行")).to_be_visible()
    page.get_by_label(re.compile("1 行未保留")).check()
    page.get_by_role("button", name=re.compile("第 1 版")).click()
    expect(page.get_by_text("已保存 2 行，作为“基金问答”第 1 版")).to_be_visible()
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
    looked_at = factories.make_preview(project, expert)
    waiting_preview = factories.start_preview(project, expert, "问题,答案\nQ,A\n")
    awaited = check_start(preview=looked_at, actor=expert)
    factories.execute(awaited.run)
    version = started.run.dataset_version
    for path in (
        "",
        "upload/",
        f"{started.dataset_id}/",
        f"imports/{started.pk}/",
        f"imports/{waiting.pk}/checking/",
        f"imports/{refused.pk}/",
        f"imports/{awaited.pk}/",
        f"previews/{looked_at.pk}/",
        f"previews/{waiting_preview.pk}/",
        f"versions/{version.pk}/",
        f"versions/{version.pk}/rows/0/",
        f"versions/{version.pk}/rows/0/edit/",
        f"versions/{version.pk}/rows/0/remove/",
        f"versions/{version.pk}/changes/",
        f"imports/{started.pk}/rejected/0/",
        f"imports/{started.pk}/append/",
        f"{started.dataset_id}/compare/",
    ):
        page.goto(f"/p/alpha/datasets/{path}")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        assert_accessible()

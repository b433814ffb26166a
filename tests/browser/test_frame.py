"""The frame of every page in a real browser: menus, theme, language, narrow screens."""

import re

import pytest
from playwright.sync_api import Page, expect

from studio.accounts.models import Role

pytestmark = pytest.mark.browser

PASSWORD = "seven green kilns"
PATHS = (
    "/p/alpha/",
    "/p/alpha/members/",
    "/p/alpha/audit/",
    "/p/alpha/evaluations/published/reproduction/",
    "/account/",
    "/",
    "/p/none/",
)


@pytest.fixture
def admin(transactional_db, factories):
    project = factories.make_project(name="国资央企知识问答 SOAE")
    factories.samples(project)
    user = factories.make_user("chenwei", project=project, role=Role.ADMIN)
    user.set_password(PASSWORD)
    user.save()
    return user


def test_sign_in_switch_language_and_sign_out(page: Page, admin, assert_accessible) -> None:
    page.goto("/p/alpha/")
    assert_accessible()
    page.get_by_label("用户名").fill("chenwei")
    page.get_by_label("密码", exact=True).fill("wrong")
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("密码", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("国资央企知识问答 SOAE")
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("navigation").get_by_role("link", name="Members").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Members")
    page.locator("summary", has_text="chenwei").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in/"))


@pytest.mark.parametrize(
    ("language", "theme", "width"),
    [
        ("zh-hans", "light", 1280),
        pytest.param("zh-hans", "dark", 390, marks=pytest.mark.accessibility),
        pytest.param("en", "dark", 1280, marks=pytest.mark.accessibility),
        ("en", "light", 390),
    ],
)
def test_pages_are_accessible_and_never_scroll_sideways(
    page: Page, admin, sign_in, assert_accessible, language: str, theme: str, width: int
) -> None:
    sign_in(admin, language=language, theme=theme)
    page.set_viewport_size({"width": width, "height": 800})
    for path in PATHS:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        assert_accessible()


def test_theme_changes_at_once_and_stays(page: Page, admin, sign_in) -> None:
    sign_in(admin)
    page.emulate_media(color_scheme="dark")
    page.goto("/p/alpha/")
    root = page.locator("html")
    expect(root).to_have_attribute("data-bs-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(root).to_have_attribute("data-bs-theme", "light")
    page.locator("summary", has_text="chenwei").click()
    with page.expect_response("**/preferences/"):
        page.get_by_role("button", name="深色").click()
    expect(root).to_have_attribute("data-bs-theme", "dark")
    expect(page.get_by_role("button", name="深色")).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(root).to_have_attribute("data-bs-theme", "dark")


def test_theme_and_language_work_without_javascript(
    browser, browser_context_args, admin, client, live_server
) -> None:
    client.force_login(admin)
    context = browser.new_context(**browser_context_args, java_script_enabled=False)
    session = {"name": "sessionid", "value": client.cookies["sessionid"].value}
    context.add_cookies([session | {"url": live_server.url}])
    page = context.new_page()
    page.goto("/p/alpha/members/")
    page.locator("summary", has_text="chenwei").click()
    page.get_by_role("button", name="深色").click()
    expect(page).to_have_url(re.compile("/members/$"))
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Members")
    context.close()


def test_menus_and_skip_link_by_keyboard(page: Page, admin, sign_in) -> None:
    sign_in(admin)
    page.goto("/p/alpha/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="跳到正文")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    menu = page.locator("details", has_text="所有项目")
    menu.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(menu).to_have_attribute("open", "")
    page.keyboard.press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    expect(menu.locator("summary")).to_be_focused()


def test_an_invitation_link_is_copied(page: Page, admin, sign_in) -> None:
    sign_in(admin)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/p/alpha/members/")
    page.get_by_label("给谁").fill("李老师")
    page.get_by_role("button", name="生成邀请链接").click()
    page.get_by_role("button", name="复制").click()
    expect(page.get_by_role("button", name="已复制")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator("#new-link").input_value()
    assert "/invite/" in copied

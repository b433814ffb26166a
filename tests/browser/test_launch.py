"""The forms of runs in a real browser: only what the choice has, by keyboard, on narrow screens."""

import pytest
from playwright.sync_api import Page, expect

from studio.accounts.models import Role

pytestmark = pytest.mark.browser

ADDRESS = "/p/alpha/runs/launch/?kind="


@pytest.fixture
def engineer(transactional_db, factories, settings, tmp_path):
    settings.STUDIO_DATA_DIR = tmp_path
    project = factories.make_project(name="国资央企知识问答")
    return factories.make_user("chenwei", project=project, role=Role.ENGINEER)


@pytest.mark.accessibility
@pytest.mark.parametrize(("language", "width"), [("zh-hans", 1280), ("en", 390)])
@pytest.mark.parametrize("kind", ["speculative_decode", "logit_distill"])
def test_forms_are_accessible_and_never_scroll_sideways(
    page: Page, engineer, sign_in, assert_accessible, kind: str, language: str, width: int
) -> None:
    sign_in(engineer, language=language)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(ADDRESS + kind)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert_accessible()


def test_an_arm_shows_and_sends_what_its_method_has(page: Page, engineer, sign_in) -> None:
    sign_in(engineer, language="en")
    page.goto(ADDRESS + "speculative_decode")
    arm = page.locator("fieldset", has=page.locator("[name='arms.0.method']")).last
    method, model = (arm.locator(f"[name='arms.0.{name}']") for name in ("method", "model"))
    expect(model).to_be_hidden()
    expect(arm.locator("details")).to_be_hidden()
    method.focus()
    page.keyboard.press("ArrowDown")  # a draft model
    expect(method).to_have_value("draft_model")
    page.keyboard.press("Tab")
    expect(arm.locator("[name='arms.0.name']")).to_be_focused()
    page.keyboard.press("Tab")
    expect(model).to_be_focused()
    expect(arm.locator("[name='arms.0.max_ngram']")).to_be_hidden()
    method.select_option("store")
    expect(model).to_be_hidden()
    expect(arm.locator("details")).to_be_visible()
    sent = "[...new FormData(document.querySelector('form[novalidate]')).keys()]"
    assert sorted(name for name in page.evaluate(sent) if name.startswith("arms.0.")) == [
        f"arms.0.{name}"
        for name in (
            "dataset", "dataset.limit", "dataset.where.0.field", "dataset.where.0.keep",
            "dataset.where.0.values", "method", "min_match", "name", "teacher_cache",
        )
    ]  # fmt: skip

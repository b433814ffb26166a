"""The registry in a real browser: the drawing is reachable by keyboard, pages are accessible."""

import pytest
from playwright.sync_api import Page, expect

from studio.accounts.models import Role
from studio.registry.models import CheckpointParent

pytestmark = pytest.mark.browser


@pytest.fixture
def family(transactional_db, factories):
    """A base, a child, and two grandchildren of which one has a Chinese name."""
    project = factories.make_project(name="国资央企知识问答")
    engineer = factories.make_user("wei", project=project, role=Role.ENGINEER)
    names = ("base", "continual pre-training", "渐进式监督微调第二阶段领域模型", "draft")
    made = [factories.make_checkpoint(project, engineer, name)[0] for name in names]
    for parent, child, role in ((0, 1, "model"), (1, 2, "model"), (1, 3, "target")):
        CheckpointParent.objects.create(parent=made[parent], child=made[child], role=role)
    return engineer, made


def test_the_lineage_is_walked_by_keyboard(page: Page, family, sign_in) -> None:
    engineer, _ = family
    sign_in(engineer)
    page.goto("/p/alpha/registry/lineage/")
    page.get_by_role("group", name="谱系图").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("continual pre-training")
    expect(page.locator(".lineage-current title")).to_contain_text("continual pre-training")


@pytest.mark.accessibility
@pytest.mark.parametrize(
    ("language", "theme", "width"), [("zh-hans", "dark", 1280), ("en", "light", 390)]
)
def test_pages_are_accessible_and_never_scroll_sideways(
    page: Page, family, factories, sign_in, assert_accessible, language, theme, width
) -> None:
    engineer, made = family
    refused = made[0].run
    sign_in(engineer, language=language, theme=theme)
    page.set_viewport_size({"width": width, "height": 900})
    for path in (
        "", "lineage/", "import/", f"{made[1].pk}/", f"imports/{refused.pk}/",
    ):  # fmt: skip
        page.goto(f"/p/alpha/registry/{path}")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        assert_accessible()

"""Dashboards and comparisons in a real browser: charts, word diff, keys, narrow screens."""

import re

import pytest
from playwright.sync_api import Page, expect

from studio.accounts.models import Role
from tests.web import result_factory as results

pytestmark = pytest.mark.browser

ITEM = "t1-q02-zh"


@pytest.fixture
def engineer(transactional_db, factories, settings, tmp_path):
    settings.STUDIO_DATA_DIR = tmp_path
    project = factories.make_project(name="国资央企知识问答")
    return factories.make_user("chenwei", project=project, role=Role.ENGINEER)


@pytest.fixture
def recipe(engineer):
    """A plan's runs, on few questions: a browser test waits for the pages, not the scores."""
    project = engineer.memberships.get().project
    return results.make_recipe(project, engineer, num_items=12, num_choices=40)


def address(page: str, *runs, **query: str) -> str:
    chosen = [f"run={run.pk}" for run in runs] + [f"{key}={query[key]}" for key in query]
    return f"/p/alpha/{page}/?{'&'.join(chosen)}"


@pytest.fixture
def paths(recipe) -> list[str]:
    pair = recipe["evaluate_sft_single_stage"], recipe["evaluate_sft_progressive"]
    return [
        "/p/alpha/evaluations/",
        "/p/alpha/evaluations/retention/",
        "/p/alpha/evaluations/text-overlap/",
        "/p/alpha/evaluations/speedup/",
        "/p/alpha/evaluations/published/",
        address("evaluations/rows", pair[0]),
        address("comparisons", recipe["evaluate_base"], recipe["evaluate_cpt"], *pair),
        address("comparisons/samples", *pair),
        address("comparisons/sample", *pair, item=ITEM),
        address("comparisons/sample", *pair, task="general_ability", item="mcq-0003"),
        address("comparisons/parameters", *pair),
    ]


@pytest.mark.accessibility
@pytest.mark.parametrize(
    ("language", "theme", "width"), [("zh-hans", "light", 1280), ("en", "dark", 390)]
)
def test_pages_are_accessible_and_never_scroll_sideways(
    page: Page, engineer, paths, sign_in, assert_accessible, language: str, theme: str, width: int
) -> None:
    sign_in(engineer, language=language, theme=theme)
    page.set_viewport_size({"width": width, "height": 800})
    for path in paths:
        page.goto(path)
        for chart in page.locator("figure[data-chart]").all():
            expect(chart.locator(".main-svg").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        assert_accessible()


def test_word_differences_segment_chinese_and_stay_text(page: Page, engineer, sign_in) -> None:
    project = engineer.memberships.get().project
    items = results.domain_items("zh", 1)
    answers = ("国资委依法<b>监督</b>国有资产。", "国资委依法<b>管理</b>国有企业。")
    runs = [
        results.make_evaluation(
            project, engineer, name=name, answered=results.answer_samples(items, [answer])
        )
        for name, answer in zip(("before", "after"), answers, strict=True)
    ]
    sign_in(engineer, language="en")
    page.goto(address("comparisons/sample", *runs, item=items[0]["id"]))
    answer = page.locator("#answer-B")
    expect(answer.locator("ins").first).to_contain_text("管理")
    words = [
        re.sub(r"^(added|removed):\s*[+−]", "", text)
        for text in answer.locator("ins, del").all_inner_texts()
    ]
    assert words == ["监督", "管理", "资产", "企业"]
    assert answer.locator("b").count() == 0
    expect(answer.locator("del").first).to_contain_text("removed:")
    page.get_by_role("link", name="off", exact=True).click()
    expect(page).to_have_url(re.compile("diff=off"))
    expect(page.locator("#answer-B")).to_have_text(answers[1])


def test_j_and_k_move_between_items_unless_switched_off(
    page: Page, engineer, recipe, sign_in
) -> None:
    pair = recipe["evaluate_sft_single_stage"], recipe["evaluate_sft_progressive"]
    sign_in(engineer, language="en")
    page.goto(address("comparisons/samples", *pair, sort="item"))
    page.get_by_role("link", name="t1-q01-zh").click()
    title, switch = page.locator("#item-title"), page.get_by_role("button", name="Keys j and k")
    expect(switch).to_be_visible()  # the script runs
    page.keyboard.press("j")
    expect(title).to_contain_text("t1-q02-zh")
    expect(switch).to_be_visible()
    page.keyboard.press("k")
    expect(title).to_contain_text("t1-q01-zh")
    # A key that belongs to a Chinese input method is not a shortcut.
    page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', "
        "{key: 'j', keyCode: 229, isComposing: true, bubbles: true}))"
    )
    page.keyboard.press("Control+j")
    expect(title).to_contain_text("t1-q01-zh")
    expect(switch).to_be_visible()
    switch.click()
    page.keyboard.press("j")
    page.reload()
    expect(switch).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("j")
    expect(title).to_contain_text("t1-q01-zh")


def test_from_the_list_to_one_sample_without_javascript(
    browser, browser_context_args, engineer, recipe, client, live_server
) -> None:
    client.force_login(engineer)
    context = browser.new_context(**browser_context_args, java_script_enabled=False)
    session = {"name": "sessionid", "value": client.cookies["sessionid"].value}
    context.add_cookies([session | {"url": live_server.url}])
    page = context.new_page()
    page.goto("/p/alpha/comparisons/")
    page.get_by_label("选择 cpt", exact=True).check()
    page.get_by_label("选择 evaluate_base", exact=True).check()
    page.get_by_role("button", name="对比所选").click()
    expect(page.locator(".token-baseline")).to_contain_text("evaluate_base")
    page.get_by_role("link", name="样本").click()
    page.locator(".chip", has_text="B 胜").click()
    page.locator("tbody a").first.click()
    expect(page.locator("#answer-B")).not_to_be_empty()
    assert page.locator("ins").count() == 0
    context.close()

"""A new user's first quarter of an hour, in a real browser on a real platform: nothing is mocked.

The first account, a project, an upload with a bad row, a form with an error, a training run watched
while it works, its cancellation and its end after resuming.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline.modeling.tiny import save_tiny_model
from tests.supervision.local_platform import Platform

pytestmark = [pytest.mark.browser, pytest.mark.recipes, pytest.mark.slow]
PASSWORD = "quarterly-report-27"
SECONDS = 1000
"""A second in the unit of the browser's time limits."""


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    platform = Platform(tmp_path / "data", STUDIO_PIPELINE_COMMAND="", STUDIO_COMPUTE_THREADS="1")
    save_tiny_model(platform.data_dir / "models/tiny")
    try:
        platform.start()
        yield platform
    finally:
        platform.close()


@pytest.fixture
def visitor(browser: Browser, platform: Platform) -> Iterator[Page]:
    """A tab of somebody who has never been here; an error of a script fails the test."""
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{platform.port}", locale="en", viewport=None
    )
    context.set_default_timeout(60 * SECONDS)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Sixty documents, and a row without text in line 3."""
    rows = [
        {
            "id": f"document-{number}",
            "text": f"Group {number} reports revenue of {number * 37 % 101} million. " * 8,
            "lang": "en",
        }
        for number in range(60)
    ]
    rows.insert(2, {"id": "empty", "text": "", "lang": "en"})
    path = tmp_path / "reports.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return path


def test_from_the_first_account_to_a_finished_training(
    platform: Platform, visitor: Page, corpus: Path
) -> None:
    page = visitor
    _make_first_account(platform, page)
    _make_project(page)
    _upload(page, corpus)
    _launch_after_an_error(page)
    _watch(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status").get_by_text("Cancelled")).to_be_visible()
    expect(page.get_by_text("Stopped:").first).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Attempt 1 started from a checkpoint")).to_be_visible()
    expect(page.get_by_role("status").get_by_text("Succeeded")).to_be_visible(timeout=180 * SECONDS)
    page.get_by_role("link", name="model", exact=True).click()
    expect(page.get_by_role("heading", name="First training")).to_be_visible()


def _make_first_account(platform: Platform, page: Page) -> None:
    link = re.search(r"http://\S+/setup/\S+", platform.output())
    assert link is not None
    page.goto(link.group())
    page.get_by_label("User name").fill("wangmin")
    for field in page.locator("input[type=password]").all():
        field.fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    page.context.clear_cookies(name="__Host-sessionid")
    page.context.clear_cookies(name="sessionid")
    page.goto("/")
    page.get_by_label("Username").fill("wangmin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def _make_project(page: Page) -> None:
    page.get_by_role("link", name="New project").first.click()
    page.get_by_label("Name").fill("Annual reports")
    page.get_by_label("Address").fill("reports")
    page.get_by_role("button", name="Create the project").click()


def _upload(page: Page, corpus: Path) -> None:
    page.goto("/p/reports/datasets/")
    page.get_by_role("link", name="Upload a file").first.click()
    page.get_by_label("File", exact=True).set_input_files(corpus)
    page.get_by_label("Documents", exact=True).check()
    page.get_by_role("button", name="Upload and look at it").click()
    expect(
        page.get_by_role("heading", name="The first rows, as they will be stored")
    ).to_be_visible()
    expect(page.get_by_text("Group 19 reports revenue").first).to_be_visible()
    page.get_by_role("button", name="Check all rows").click()
    expect(page.get_by_text("1 row is wrong, 60 are right")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("^3 .*text"))).to_be_visible()
    page.get_by_role("button", name=re.compile("Make version 1 of reports")).click()
    expect(page.get_by_text("60 rows were kept as version 1 of reports")).to_be_visible()


def _launch_after_an_error(page: Page) -> None:
    page.goto("/p/reports/runs/launch/?kind=continual_pretrain")
    page.locator("[name=name]").fill("First training")
    page.locator("[name=model]").select_option(label="tiny")
    page.locator("[name='sources.0.name']").fill("reports")
    page.locator("[name='sources.0.dataset']").select_option(index=1)
    page.locator("[name='sources.0.weight']").fill("1")
    page.locator("[name='optimizer.learning_rate']").fill("0.001")
    page.locator("[name='batch.max_seq_length']").fill("64")
    page.locator("[name=checkpoint_every_steps]").fill("100")
    page.locator("[name=num_tokens]").fill("-5")
    page.get_by_role("button", name="Start the run").click()
    expect(page.locator("[name=num_tokens]")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("[name='sources.0.name']")).to_have_value("reports")
    page.locator("[name=num_tokens]").fill("64000")
    page.get_by_role("button", name="Start the run").click()


def _watch(page: Page) -> None:
    """State, progress and curve change while the page stays open."""
    expect(page.get_by_role("heading", name="First training")).to_be_visible()
    expect(page.get_by_role("status").get_by_text("Running")).to_be_visible()
    page.evaluate("window.isSamePage = true")
    progress = page.get_by_role("progressbar")
    expect(progress).to_be_visible()
    before = progress.get_attribute("value")
    expect(progress).not_to_have_attribute("value", before or "")
    expect(page.locator("figure[data-chart] .main-svg").first).to_be_visible()
    expect(page.get_by_text("Checkpoint saved at step 100").first).to_be_visible()
    assert page.evaluate("window.isSamePage")

"""A real browser on a real server. A console error, a blocked style or script, or a request to
another host fails the test."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page, Route, expect

CHROMIUM = Path(os.environ.get("STUDIO_TEST_CHROMIUM", "/usr/bin/chromium"))

# What should take a second takes longer on a busy CI machine.
expect.set_options(timeout=60_000)

# Playwright's synchronous interface runs an event loop in this thread, which Django takes for
# asynchronous code; the tests use the database from no other thread.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--each-hostile-text",
        help="payloads of tests/web/hostile_texts.py, each to be alone on each page: all, or 0,7",
    )


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, object]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}: apt-get install chromium fonts-noto-cjk")
    return {
        "executable_path": str(CHROMIUM),
        "args": [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ],
    }


@pytest.fixture
def browser_context_args(live_server) -> dict[str, object]:
    return {
        "base_url": live_server.url,
        "locale": "zh-CN",
        "viewport": {"width": 1280, "height": 800},
    }


@pytest.fixture
def page(page: Page, live_server) -> Iterator[Page]:
    """A tab that complains."""
    complaints: list[str] = []
    navigated: set[str] = set()

    def on_console(message: ConsoleMessage) -> None:
        # The browser reports a document that answers 404 or 403 as an error; tests ask for those.
        if message.type == "error" and message.location["url"] not in navigated:
            complaints.append(f"{message.text} {message.location['url'][:200]}")

    def only_this_server(route: Route) -> None:
        if urlsplit(route.request.url).netloc != urlsplit(live_server.url).netloc:
            complaints.append(f"request to another host: {route.request.url}")
            route.abort()
            return
        if route.request.is_navigation_request():
            navigated.add(route.request.url)
        route.continue_()

    page.on("console", on_console)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.route("**/*", only_this_server)
    yield page
    assert complaints == []


@pytest.fixture
def sign_in(page: Page, client, live_server) -> Callable[..., None]:
    """`sign_in(user, language="en", theme="dark")` without typing a password."""

    def enter(user, *, language: str = "zh-hans", theme: str = "auto") -> None:
        user.language, user.theme = language, theme
        user.save()
        client.force_login(user)
        cookies = {"sessionid": client.cookies["sessionid"].value, "django_language": language}
        page.context.add_cookies(
            [
                {"name": name, "value": value, "url": live_server.url}
                for name, value in cookies.items()
            ]
        )

    return enter


@pytest.fixture
def assert_accessible(page: Page) -> Callable[[], None]:
    """The open page has no finding of axe for WCAG 2.2 AA."""
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

    def check() -> None:
        found = Axe().run(page, options={"runOnly": {"type": "tag", "values": rules}})
        violations = [
            f"{violation['id']}: {node['html'][:120]} {node['failureSummary']}"
            for violation in found.response["violations"]
            for node in violation["nodes"]
        ]
        assert violations == [], page.url

    return check

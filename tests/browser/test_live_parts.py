"""Charts and polled fragments under the real Content-Security-Policy."""

import pytest
from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse
from django.template import engines
from django.urls import path
from playwright.sync_api import Page, expect

from studio.pages.charts import Chart
from studio.pages.security import charts_page
from studio.urls import urlpatterns as studio_urls

pytestmark = [
    pytest.mark.browser,
    pytest.mark.urls(__name__),
    pytest.mark.django_db(transaction=True),
]

CHART_PAGE = """{% extends "base.html" %}
{% block title %}Charts{% endblock %}
{% block head %}{% include "_chart_scripts.html" %}{% endblock %}
{% block content %}<h1>Charts</h1>{% include "_chart.html" %}{% endblock %}"""

POLL_PAGE = """{% extends "base.html" %}
{% block title %}Live{% endblock %}
{% block content %}<h1>Live</h1>
<pre id="log" data-poll="/log/" data-poll-mode="append" data-poll-cursor="0"
     data-poll-seconds="0.05">start
</pre>
<p id="state" data-poll="/state/" data-poll-seconds="0.05">waiting</p>{% endblock %}"""

LINES = ["one", "<b>two</b>", "three"]


@login_not_required
@charts_page
def charts(request) -> HttpResponse:
    chart = Chart(
        key="loss",
        title="Loss",
        figure={
            "data": [
                {"type": "scatter", "name": "train", "x": [1, 2, 3], "y": [3.1, 2.4, 2.2]},
                {"type": "bar", "name": "validation", "x": [1, 2, 3], "y": [3.2, 2.6, 2.5]},
            ],
            "layout": {"xaxis": {"title": {"text": "step"}}},
        },
        columns=["step", "train", "validation"],
        rows=[[1, 3.1, 3.2], [2, 2.4, 2.6], [3, 2.2, 2.5]],
        note="n = 3",
    )
    html = engines["django"].from_string(CHART_PAGE).render({"chart": chart}, request)
    return HttpResponse(html)


@login_not_required
def live(request) -> HttpResponse:
    return HttpResponse(engines["django"].from_string(POLL_PAGE).render({}, request))


@login_not_required
def log(request) -> HttpResponse:
    """One line after the cursor, escaped as every fragment's template does."""
    cursor = int(request.GET["after"])
    html = engines["django"].from_string("{{ line }}\n").render({"line": LINES[cursor]})
    done = {"X-Poll-Done": "1"} if cursor + 1 == len(LINES) else {}
    return HttpResponse(html, headers={"X-Next-Cursor": str(cursor + 1)} | done)


@login_not_required
def state(request) -> HttpResponse:
    return HttpResponse("<strong>running</strong>", headers={"X-Poll-Done": "1"})


urlpatterns = [
    *studio_urls,
    path("charts/", charts),
    path("live/", live),
    path("log/", log),
    path("state/", state),
]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_chart_is_drawn_in_the_colours_of_the_theme(
    page: Page, theme: str, assert_accessible
) -> None:
    page.emulate_media(color_scheme=theme)
    page.goto("/charts/")
    figure = page.get_by_role("img", name="Loss")
    expect(figure.locator("svg .trace").first).to_be_visible()
    line = figure.locator(".scatterlayer .js-line").first
    blue = {"light": "rgb(0, 114, 178)", "dark": "rgb(86, 180, 233)"}[theme]
    expect(line).to_have_css("stroke", blue)
    expect(page.get_by_role("table").get_by_role("row")).to_have_count(4)
    assert_accessible()


def test_a_chart_follows_a_change_of_theme(page: Page) -> None:
    page.emulate_media(color_scheme="light")
    page.goto("/charts/")
    line = page.locator(".scatterlayer .js-line").first
    expect(line).to_have_css("stroke", "rgb(0, 114, 178)")
    page.get_by_role("button", name="深色").click()
    expect(line).to_have_css("stroke", "rgb(86, 180, 233)")


def test_fragments_arrive_by_cursor_and_stop_when_done(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/log/")[2]))
    page.goto("/live/")
    expect(page.locator("#log")).to_have_text("start\none\n<b>two</b>\nthree\n")
    expect(page.locator("#state strong")).to_have_text("running")
    page.wait_for_timeout(300)
    assert [query for query in asked if query.startswith("?")] == [
        "?after=0",
        "?after=1",
        "?after=2",
    ]

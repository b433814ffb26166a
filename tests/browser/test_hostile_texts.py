"""Names, files, logs and models say what they like: on every page it is only text.

All payloads together here; `--each-hostile-text all` puts each alone on each page.
"""

from urllib.parse import quote, urlsplit

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.web import hostile_texts
from tests.web.test_pages import ARGUMENTS, PAGES

pytestmark = pytest.mark.browser

WATCH = """
window.blocked = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.blocked.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
# What a text that became markup leaves behind, wherever it stands.
FOUND = """
(mark) => {
  const outside = (url) => url && new URL(url, location.href).origin !== location.origin
    && !url.startsWith("data:image/");
  const found = [...document.querySelectorAll(`[${mark}], [onerror], [onload], [onfocus],
    [onmouseover], [ontoggle], iframe, object, embed, base, meta[http-equiv]`)];
  for (const element of document.querySelectorAll("[href], [src], [action], [formaction]")) {
    for (const name of ["href", "src", "action", "formaction"]) {
      const value = element.getAttribute(name);
      const link = element.getAttributeNS("http://www.w3.org/1999/xlink", "href");
      if (outside(value) || outside(link)) found.push(element);
    }
  }
  return [...found.map((element) => element.outerHTML.slice(0, 200)), ...window.blocked,
    ...(window[mark] ? ["a script ran"] : [])];
}
"""
UNFOLD = "() => { for (const fold of document.querySelectorAll('details')) fold.open = true; }"
# The labels under the pointer are drawn only then.
HOVER = """
() => {
  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    for (let curve = 0; curve < (figure.data || []).length; curve += 1) {
      const { xaxis = "x", yaxis = "y" } = figure.data[curve];
      window.Plotly.Fx.hover(figure, [{ curveNumber: curve, pointNumber: 0 }], xaxis + yaxis);
    }
  }
}
"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All payloads together, or each alone where the command line says which."""
    if "payloads" in metafunc.fixturenames:
        alone = metafunc.config.getoption("--each-hostile-text", default=None)
        every = hostile_texts.PAYLOADS
        numbers = range(len(every)) if alone == "all" else map(int, (alone or "").split(","))
        chosen = [every] if alone is None else [(every[number],) for number in numbers]
        metafunc.parametrize("payloads", chosen, ids=lambda texts: f"{len(texts)}-payloads")


def plain_addresses() -> list[str]:
    """Pages without arguments besides the project's."""
    return [
        reverse(name, kwargs={"project": "alpha"} if ARGUMENTS[name] else {})
        for name in PAGES
        if PAGES[name].method == "get"
        and set(ARGUMENTS[name]) <= {"project"}
        and name
        not in (
            "datasets:example",
            "evaluations:rows",
            "evaluations:prepare",
            "registry:signing_key",
        )  # files, not pages
    ]


def reflected(payloads: tuple[str, ...]) -> list[str]:
    """Addresses that hold the texts themselves, found and not found."""
    text = quote(" ".join(payloads)[:3000])
    names = ("item", "category", "task", "metric", "sort", "outcome", "kind", "state", "name",
             "code", "detail", "score", "diff", "after", "documents")  # fmt: skip
    query = "&".join(f"{name}={text[:600].rsplit('%', 1)[0]}" for name in names)
    pages = ("", "datasets/upload/", "runs/", "runs/launch/", "evaluations/", "comparisons/")
    found = [f"/p/alpha/{page}?{query}" for page in pages]
    return [*found, f"/p/{text[:900].rsplit('%', 1)[0]}/", f"/sign-in/?{query}"]


def test_hostile_texts_stay_texts(
    page: Page, transactional_db, sign_in, settings, tmp_path, payloads, record_property
) -> None:
    settings.STUDIO_DATA_DIR = tmp_path
    (tmp_path / "uploads").mkdir()
    user, addresses = hostile_texts.make_project(payloads)
    sign_in(user, language="en")
    page.context.add_init_script(WATCH)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    num_pages = 0
    for address in dict.fromkeys([*plain_addresses(), *addresses, *reflected(payloads)]):
        response = page.goto(address)
        assert response is not None
        assert response.status < 500, address
        charts = page.locator("figure[data-chart]")
        if charts.count():
            expect(charts.last.locator(".main-svg").first).to_be_visible()
            page.evaluate(HOVER)
        page.evaluate(UNFOLD)
        found = page.evaluate(FOUND, hostile_texts.MARK)
        assert found == [], urlsplit(address).path
        assert dialogs == [], urlsplit(address).path
        num_pages += 1
    assert num_pages >= 45
    record_property("num_pages", num_pages)


def test_a_refused_form_shows_what_was_typed_as_text(
    page: Page, transactional_db, sign_in, settings, tmp_path
) -> None:
    settings.STUDIO_DATA_DIR = tmp_path
    (tmp_path / "uploads").mkdir()
    user, _addresses = hostile_texts.make_project(hostile_texts.PAYLOADS)
    sign_in(user, language="en")
    page.context.add_init_script(WATCH)
    printable = "".join(c for c in " ".join(hostile_texts.PAYLOADS) if c.isprintable())
    page.goto("/p/alpha/runs/launch/?kind=evaluate")
    page.locator("details.card > summary").click()
    page.locator("#id_document").fill(printable)
    page.locator("details.card button").click()
    expect(page.locator("#id_document")).to_have_value(printable)
    assert page.evaluate(FOUND, hostile_texts.MARK) == []
    page.locator("#id_name").fill(printable[:900])
    page.locator("form >> text=Start the run").click()
    expect(page.locator("#id_name")).to_have_value(printable[:900])
    assert page.evaluate(FOUND, hostile_texts.MARK) == []

"""What the browser is told to refuse."""

import re

import pytest
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from django.urls import path

from studio.pages.security import charts_page
from studio.urls import urlpatterns as studio_urls


@charts_page
def charts(request) -> HttpResponse:
    return HttpResponse("charts")


def broken(request) -> HttpResponse:
    raise RuntimeError("seen only in the log")


charts.login_required = broken.login_required = False
urlpatterns = [*studio_urls, path("charts/", charts), path("broken/", broken)]
handler403 = "studio.pages.errors.permission_denied"
handler404 = "studio.pages.errors.page_not_found"
handler500 = "studio.pages.errors.server_error"


def directives(response) -> dict[str, str]:
    policy = response["Content-Security-Policy"]
    return dict(part.strip().split(" ", 1) for part in policy.split(";"))


def test_policy_allows_only_our_own_files(client, db) -> None:
    policy = directives(client.get("/sign-in/"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["object-src"] == "'none'"
    assert policy["form-action"] == "'self'"


@override_settings(ROOT_URLCONF=__name__)
def test_chart_pages_loosen_only_styles(client, db) -> None:
    policy = directives(client.get("/charts/"))
    assert policy["style-src"] == "'self' 'unsafe-inline'"
    assert policy["script-src"] == "'self'"


def test_other_headers_are_set(client, db) -> None:
    response = client.get("/sign-in/")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"


@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.parametrize(
    ("path", "status"),
    [("/no-such-page/", 404), ("/sign-in", 301), ("/broken/", 500), ("/preferences/", 405)],
)
def test_answers_that_no_view_made_are_not_stored_either(client, db, path, status) -> None:
    client.raise_request_exception = False
    response = client.get(path)
    assert (response.status_code, response["Cache-Control"]) == (status, "no-store")


def test_static_files_may_be_kept(client, db) -> None:
    for name in ("js/poll.js", _vendored_file()):
        response = client.get(f"/static/{name}")
        assert response.status_code == 200
        assert "max-age" in response["Cache-Control"]
        assert "no-store" not in response["Cache-Control"]
        response.close()


def _vendored_file() -> str:
    from django.conf import settings

    static = settings.STUDIO / "static"
    return next(static.glob("vendor/**/*.css")).relative_to(static).as_posix()


def test_cookies_are_out_of_reach_of_scripts(client, factories) -> None:
    client.get("/sign-in/")
    client.force_login(factories.make_user("lina"))
    client.post("/preferences/", {"language": "en", "theme": "dark"})
    assert set(client.cookies) == {"csrftoken", "sessionid", "django_language", "theme"}
    for cookie in client.cookies.values():
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"


def test_forged_host_is_refused(client, db) -> None:
    assert client.get("/sign-in/", headers={"host": "evil.example"}).status_code == 400


@pytest.mark.parametrize(
    ("target", "arrives_at"),
    [
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/account/?tab=1", "/account/?tab=1"),
    ],
)
def test_preferences_lead_back_only_to_our_pages(client, db, target, arrives_at) -> None:
    response = client.post("/preferences/", {"theme": "dark", "next": target})
    assert response["Location"] == arrives_at


def test_form_without_token_changes_nothing_and_says_why(factories) -> None:
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    user = factories.make_user("lina")
    client.force_login(user)
    response = client.post("/preferences/", {"theme": "dark"}, headers={"accept-language": "en"})
    assert response.status_code == 403
    assert "This form could not be checked" in response.content.decode()
    user.refresh_from_db()
    assert user.theme == "auto"


@override_settings(ROOT_URLCONF=__name__)
def test_server_error_page_shows_a_number_that_is_in_the_log(client, db, caplog) -> None:
    client.raise_request_exception = False
    response = client.get("/broken/")
    assert response.status_code == 500
    html = response.content.decode()
    assert "RuntimeError" not in html
    reference = re.search(r"<code>(\w{8})</code>", html)[1]
    assert f"reference={reference}" in caplog.text


def test_error_pages_do_not_need_a_user(db) -> None:
    """The sign-in middleware may not have run when a request fails."""
    from studio.pages.errors import server_error

    response = server_error(RequestFactory().get("/"))
    assert response.status_code == 500

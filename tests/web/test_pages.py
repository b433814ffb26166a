"""Every address, for every kind of visitor: what opens, and what is as if it did not exist."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import get_resolver, reverse
from django.urls.resolvers import URLResolver

from studio.accounts.models import Project, Role

EVERYBODY = ("anonymous", "outsider", "expert", "engineer", "reviewer", "admin", "superuser")
SIGNED_IN = EVERYBODY[1:]
MEMBERS = EVERYBODY[2:]
ADMINS = ("admin", "superuser")
ENGINEERS = ("engineer", *ADMINS)
UPLOADERS = ("expert", "engineer", *ADMINS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Who may open it, and what they get. The others get what `expected` says."""

    allowed: tuple[str, ...]
    ok: tuple[int, ...] = (200,)
    method: str = "get"
    # Whether somebody outside the project gets 404; pages outside projects answer 403.
    is_in_project: bool = True

    def expected(self, visitor: str) -> tuple[int, ...]:
        if visitor in self.allowed:
            return self.ok
        if visitor == "anonymous":
            return (302,)
        return (404,) if visitor == "outsider" and self.is_in_project else (403,)


def public(*ok: int) -> Page:
    return Page(allowed=EVERYBODY, ok=ok, is_in_project=False)


PAGES = {
    "home:projects": Page(allowed=SIGNED_IN, ok=(200, 302), is_in_project=False),
    "accounts:preferences": Page(allowed=EVERYBODY, ok=(302,), method="post", is_in_project=False),
    "home:healthz": public(200),
    "home:index": Page(allowed=MEMBERS),
    "accounts:sign_in": public(200, 302),
    "accounts:sign_out": Page(allowed=SIGNED_IN, ok=(302,), method="post", is_in_project=False),
    "accounts:setup": public(404),
    "accounts:invite": public(404),
    "accounts:reset": public(404),
    "accounts:account": Page(allowed=SIGNED_IN, is_in_project=False),
    "accounts:site_audit": Page(allowed=("superuser",), is_in_project=False),
    "accounts:project_create": Page(allowed=("superuser",), is_in_project=False),
    "accounts:members": Page(allowed=MEMBERS),
    "accounts:invite_create": Page(allowed=ADMINS, ok=(400,), method="post"),
    "accounts:invite_revoke": Page(allowed=ADMINS, ok=(302,), method="post"),
    "accounts:set_role": Page(allowed=ADMINS, ok=(302,), method="post"),
    "accounts:remove": Page(allowed=ADMINS, ok=(302,), method="post"),
    "accounts:disable": Page(allowed=ADMINS, ok=(302,), method="post"),
    "accounts:enable": Page(allowed=ADMINS, ok=(302,), method="post"),
    "accounts:reset_create": Page(allowed=ADMINS, method="post"),
    "accounts:audit": Page(allowed=ADMINS),
    "storage:site": Page(allowed=("superuser",), is_in_project=False),
    "storage:site_free": Page(
        allowed=("superuser",), ok=(302,), method="post", is_in_project=False
    ),
    "storage:index": Page(allowed=ADMINS),
    "storage:free": Page(allowed=ADMINS, ok=(302,), method="post"),
    "evaluations:index": Page(allowed=MEMBERS),
    "evaluations:retention": Page(allowed=MEMBERS),
    "evaluations:text_overlap": Page(allowed=MEMBERS),
    "evaluations:benchmarks": Page(allowed=MEMBERS),
    "evaluations:speedup": Page(allowed=MEMBERS),
    "published:index": Page(allowed=MEMBERS),
    "published:reproduction": Page(allowed=MEMBERS),
    "evaluations:rows": Page(allowed=MEMBERS, ok=(404,)),  # of no evaluation
    "evaluations:prepare": Page(allowed=MEMBERS, ok=(204,)),
    "comparisons:index": Page(allowed=MEMBERS),
    "comparisons:samples": Page(allowed=MEMBERS),
    "comparisons:sample": Page(allowed=MEMBERS),
    "comparisons:parameters": Page(allowed=MEMBERS),
    "datasets:index": Page(allowed=MEMBERS),
    "datasets:example": Page(allowed=MEMBERS),
    "datasets:upload": Page(allowed=UPLOADERS),
    "datasets:dataset": Page(allowed=MEMBERS),
    "datasets:report": Page(allowed=MEMBERS),
    "datasets:progress": Page(allowed=MEMBERS),
    "datasets:rejects": Page(allowed=MEMBERS),
    "datasets:preview": Page(allowed=MEMBERS),
    "datasets:preview_progress": Page(allowed=MEMBERS),
    "datasets:checking": Page(allowed=MEMBERS, ok=(302,)),
    # The samples were uploaded by an administrator: others may change only their own.
    "datasets:forget": Page(allowed=ADMINS, ok=(302,), method="post"),
    "datasets:preview_discard": Page(allowed=ADMINS, ok=(302,), method="post"),
    "datasets:again": Page(allowed=ADMINS, ok=(302,), method="post"),
    "datasets:commit": Page(allowed=ADMINS, ok=(302,), method="post"),
    "datasets:discard": Page(allowed=ADMINS, ok=(302,), method="post"),
    "datasets:version": Page(allowed=MEMBERS),
    "datasets:rows": Page(allowed=MEMBERS),
    "datasets:row": Page(allowed=MEMBERS),
    "datasets:delete": Page(allowed=ADMINS, ok=(302,), method="post"),
    "quality:quality": Page(allowed=MEMBERS),
    "quality:progress": Page(allowed=MEMBERS),
    "quality:check": Page(allowed=UPLOADERS, ok=(302,), method="post"),
    "quality:clean": Page(allowed=UPLOADERS, ok=(400,), method="post"),
    "quality:flags": Page(allowed=MEMBERS, ok=(404,)),  # not checked yet
    "quality:tokens": Page(allowed=MEMBERS),
    "quality:token_preview": Page(allowed=MEMBERS),
    "quality:token_progress": Page(allowed=MEMBERS),
    "revisions:edit": Page(allowed=UPLOADERS),
    "revisions:remove": Page(allowed=UPLOADERS),
    "revisions:trim": Page(allowed=UPLOADERS, ok=(302,), method="post"),
    "revisions:map_value": Page(allowed=UPLOADERS, ok=(302,), method="post"),
    "revisions:changes": Page(allowed=UPLOADERS),
    "revisions:take_back": Page(allowed=UPLOADERS, ok=(302,), method="post"),
    "revisions:tag": Page(allowed=UPLOADERS, ok=(302,), method="post"),
    "revisions:untag": Page(allowed=UPLOADERS, ok=(302,), method="post"),
    "revisions:remark": Page(allowed=UPLOADERS, ok=(302,), method="post"),
    "revisions:append": Page(allowed=UPLOADERS),
    "revisions:repair": Page(allowed=UPLOADERS),
    "revisions:status": Page(allowed=MEMBERS),
    "revisions:progress": Page(allowed=MEMBERS),
    "revisions:compare": Page(allowed=MEMBERS),
    "revisions:differences": Page(allowed=MEMBERS),
    "revisions:compare_progress": Page(allowed=MEMBERS),
    "registry:index": Page(allowed=MEMBERS),
    "registry:lineage": Page(allowed=MEMBERS),
    "registry:import": Page(allowed=("engineer", *ADMINS)),
    "registry:import_status": Page(allowed=MEMBERS),
    "registry:import_progress": Page(allowed=MEMBERS),
    "registry:checkpoint": Page(allowed=MEMBERS),
    "registry:certificate": Page(allowed=MEMBERS),
    "registry:signing_key": Page(allowed=MEMBERS),
    # The sample was imported by an administrator: an engineer may delete only their own.
    "registry:delete": Page(allowed=ADMINS, ok=(302,), method="post"),
    "runs:index": Page(allowed=MEMBERS),
    "launch:run": Page(allowed=ENGINEERS),
    "launch:method": Page(allowed=ENGINEERS),
    "runs:workers": Page(allowed=ENGINEERS),
    "runs:plans": Page(allowed=MEMBERS),
    "runs:plan": Page(allowed=MEMBERS),
    "runs:plan_status": Page(allowed=MEMBERS),
    "runs:plan_cancel": Page(allowed=ENGINEERS, ok=(302,), method="post"),
    "runs:plan_restart": Page(allowed=ENGINEERS, ok=(302,), method="post"),
    "runs:detail": Page(allowed=MEMBERS),
    "runs:status": Page(allowed=MEMBERS),
    "runs:metrics": Page(allowed=MEMBERS),
    "runs:events": Page(allowed=MEMBERS, ok=(204,)),
    "runs:log": Page(allowed=MEMBERS),
    "runs:cancel": Page(allowed=ENGINEERS, ok=(302,), method="post"),
    "runs:resume": Page(allowed=ENGINEERS, ok=(302,), method="post"),
    "runs:clone": Page(allowed=ENGINEERS, ok=(302,), method="post"),
}


def arguments_by_page() -> dict[str, list[str]]:
    """The name of every view with the names of its address's arguments."""

    def walk(resolver: URLResolver, namespace: str, arguments: list[str]):
        for entry in resolver.url_patterns:
            names = [*arguments, *entry.pattern.converters]
            if isinstance(entry, URLResolver):
                yield from walk(entry, entry.namespace or namespace, names)
            else:
                yield f"{namespace}:{entry.name}", names

    return dict(walk(get_resolver(), "", []))


ARGUMENTS = arguments_by_page()


class MarkupCheck(HTMLParser):
    """Collects what the Content-Security-Policy would block."""

    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        attributes = dict(attrs)
        is_script = tag == "script" and attributes.get("type") != "application/json"
        if tag == "style" or (is_script and "src" not in attributes):
            self.inline.append(tag)
        self.inline += [name for name in attributes if name == "style" or name.startswith("on")]


@pytest.fixture
def visit(client, factories, samples):
    """Signs in as a kind of visitor of a project and opens a page."""
    project = Project.objects.get(slug="sampled")

    def visit_page(name: str, visitor: str, **changes: object):
        if visitor == "superuser":
            client.force_login(factories.make_user("root", is_superuser=True))
        elif visitor == "outsider":
            elsewhere = factories.make_project("elsewhere", "Elsewhere")
            client.force_login(factories.make_user("o", project=elsewhere, role=Role.ADMIN))
        elif visitor != "anonymous":
            client.force_login(factories.make_user("m", project=project, role=Role(visitor)))
        values = samples["sampled"] | changes
        url = reverse(name, kwargs={key: values[key] for key in ARGUMENTS[name]})
        return getattr(client, PAGES[name].method)(url)

    return visit_page


def test_every_page_says_who_may_open_it() -> None:
    assert set(ARGUMENTS) == set(PAGES)


@pytest.mark.slow
@pytest.mark.parametrize("visitor", EVERYBODY)
@pytest.mark.parametrize("name", PAGES)
def test_page_opens_for_whom_it_should(visit, name: str, visitor: str) -> None:
    response = visit(name, visitor)
    assert response.status_code in PAGES[name].expected(visitor)
    assert response["Cache-Control"] == "no-store"
    if visitor == "anonymous" and visitor not in PAGES[name].allowed:
        assert response["Location"].startswith(reverse("accounts:sign_in"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        name
        for name, arguments in ARGUMENTS.items()
        if "project" in arguments and len(arguments) > 1
    ],
)
@pytest.mark.parametrize("visitor", ["admin", "superuser"])
def test_things_of_another_project_do_not_exist_here(visit, samples, name, visitor) -> None:
    """An object is asked for under another project's address; the superuser may open both."""
    foreign = {key: value for key, value in samples["foreign"].items() if key != "project"}
    assert visit(name, visitor, **foreign).status_code == 404


@pytest.mark.slow
@pytest.mark.parametrize("language", ["zh-hans", "en"])
@pytest.mark.parametrize("name", [name for name in PAGES if PAGES[name].method == "get"])
def test_page_is_in_the_chosen_language_without_inline_code(
    visit, client, name: str, language: str
) -> None:
    client.cookies["django_language"] = language
    response = visit(name, PAGES[name].allowed[-1])
    if response["Content-Type"].startswith("text/html") and response.content:
        html = response.content.decode()
        check = MarkupCheck()
        check.feed(html)
        assert check.inline == []
        if html.startswith("<!doctype"):
            assert f'<html lang="{"zh-Hans" if language == "zh-hans" else "en"}"' in html
            assert re.search(r"<h1[ >]", html)


@pytest.mark.slow
@pytest.mark.parametrize("visitor", ["anonymous", "outsider", "reviewer", "superuser"])
def test_a_file_sent_where_nobody_takes_it_never_reaches_the_disk(
    visit, samples, client, monkeypatch, visitor: str
) -> None:
    """The form token is looked for in the body, so bodies are read before anybody is asked."""
    from studio.datasets import upload_handler

    kept = []
    monkeypatch.setattr(upload_handler, "ArrivingFile", lambda *args: kept.append(args))
    response = visit("accounts:account", visitor)
    user = response.wsgi_request.user
    for name, arguments in ARGUMENTS.items():
        if name == "datasets:upload" and visitor == "superuser":
            continue
        if visitor != "anonymous":
            client.force_login(user)
        url = reverse(name, kwargs={key: samples["sampled"][key] for key in arguments})
        client.post(url, {"file": SimpleUploadedFile("table.csv", b"x" * 1000)})
    assert kept == []


# Session, user, membership, project switcher and isolation are five; the rest is the page's own.
NUM_QUERIES = {
    "home:index": 9,
    "accounts:members": 8,
    "accounts:audit": 6,
    "datasets:index": 6,
}


@pytest.mark.parametrize("name", NUM_QUERIES)
def test_number_of_queries_is_known_and_does_not_grow_with_the_rows(
    client, factories, django_assert_num_queries, name: str
) -> None:
    project = factories.make_project()
    client.force_login(factories.make_user("a", project=project, role=Role.ADMIN))
    client.get(reverse(name, args=[project.slug]))  # the first visit notes its time in the session
    for number in range(20):
        factories.make_user(f"member-{number}", project=project, role=Role.EXPERT)
    with django_assert_num_queries(NUM_QUERIES[name]):
        assert client.get(reverse(name, args=[project.slug])).status_code == 200


def test_home_shows_only_what_waits_for_the_role(client, factories) -> None:
    project = factories.make_project()
    admin = factories.make_user("a", project=project, role=Role.ADMIN)
    client.force_login(admin)
    invitations = 'href="/p/alpha/members/#invitations"'
    assert invitations not in client.get("/p/alpha/").content.decode()
    factories.samples(project)
    assert invitations in client.get("/p/alpha/").content.decode()
    client.force_login(factories.make_user("e", project=project, role=Role.EXPERT))
    assert invitations not in client.get("/p/alpha/").content.decode()

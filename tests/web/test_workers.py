"""What people see of workers: the page, the banner, and the health address."""

from datetime import timedelta
from html import unescape

import pytest
from django.db import OperationalError, connection
from django.urls import reverse
from django.utils import timezone

from studio.accounts.models import Role
from studio.runs import lifecycle
from studio.runs.models import Worker
from studio.runs.states import Isolation

pytestmark = pytest.mark.postgres


@pytest.fixture
def project(factories):
    return factories.make_project()


@pytest.fixture
def engineer(factories, project):
    return factories.make_user("engineer", project=project, role=Role.ENGINEER)


@pytest.fixture
def administrator(factories):
    return factories.make_user("root", is_superuser=True)


def text_of(client, *names):
    client.cookies["django_language"] = "en"
    response = client.get(reverse(*names))
    assert response.status_code == 200
    return unescape(response.content.decode())


def seen(owner="host/compute-0", isolation=Isolation.BUBBLEWRAP, ago=timedelta()):
    lifecycle.worker_seen(owner, pid=7, isolation=isolation)
    if ago:
        Worker.objects.filter(owner=owner).update(seen_at=timezone.now() - ago)


def test_the_page_shows_each_worker_and_what_it_runs(client, factories, project, engineer) -> None:
    client.force_login(engineer)
    url = ("runs:workers", None, [project.slug])
    assert "No worker was seen" in text_of(client, *url)

    run = factories.start_import(project, engineer).run
    lifecycle.claim(run.pk, slot="host/interactive-0", queue=run.queue)
    seen("host/interactive-0", Isolation.LANDLOCK)
    seen("host/compute-0", Isolation.OFF, ago=timedelta(minutes=5))
    seen("old/compute-0", ago=timedelta(days=8))
    page = text_of(client, *url)
    assert run.name in page
    assert "Landlock: files by rule, a network of its own" in page
    assert "none: runs have the rights of the platform" in page
    assert page.count("silent") == 1
    assert "old" not in page.split("<tbody>")[1].split("</tbody>")[0]

    stranger = factories.make_project("beta", "Beta")
    other = factories.make_user("other", project=stranger, role=Role.ENGINEER)
    client.force_login(other)
    page = text_of(client, "runs:workers", None, [stranger.slug])
    assert run.name not in page
    assert str(run.pk) not in page
    assert "a run of another project" in page


def test_a_worker_shows_itself_again_and_again(factories, project) -> None:
    seen(isolation=Isolation.OFF, ago=timedelta(hours=1))
    assert not Worker.objects.present().exists()
    seen(isolation=Isolation.LANDLOCK)
    (worker,) = Worker.objects.present()
    assert (worker.host, worker.slot, worker.isolation) == ("host", "compute-0", "landlock")


@pytest.mark.parametrize("reason", ["worker", "setting"])
def test_every_page_says_when_runs_are_not_isolated(
    client, factories, project, engineer, settings, reason
) -> None:
    says = "Runs are not isolated."
    client.force_login(engineer)
    home = ("home:index", None, [project.slug])
    seen()
    assert says not in text_of(client, *home)
    if reason == "setting":
        settings.STUDIO_ISOLATION = "off"
    else:
        seen(isolation=Isolation.OFF)
    pages = (home, ("home:projects",), ("accounts:account",), ("runs:index", None, [project.slug]))
    for page in pages:
        if page != ("home:projects",):  # leads straight to the only project
            assert says in text_of(client, *page)
    client.logout()
    assert says not in text_of(client, "accounts:sign_in")


def test_strangers_learn_only_whether_it_is_well(
    client, factories, engineer, administrator
) -> None:
    seen()
    address = reverse("home:healthz")
    for user in (None, engineer):
        if user is not None:
            client.force_login(user)
        response = client.get(address)
        assert (response.status_code, response.content) == (200, b"ok\n")
        assert "no-store" in response["Cache-Control"]
    client.force_login(administrator)
    told = client.get(address).json()
    assert told["workers"][0]["isolation"] == "bubblewrap"
    assert told["queued_runs"] == 0


@pytest.mark.django_db
def test_a_database_that_does_not_answer_is_not_well(client) -> None:
    def broken(*_arguments: object) -> None:
        raise OperationalError("password=secret")

    with connection.execute_wrapper(broken):
        response = client.get(reverse("home:healthz"))
    assert (response.status_code, response.content) == (503, b"not ok\n")

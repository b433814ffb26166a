"""What the tests of results and of addresses start from."""

from collections.abc import Iterator

import pytest
from django.db import transaction

from studio.accounts.models import Role


@pytest.fixture
def project(factories, settings, tmp_path):
    settings.STUDIO_DATA_DIR = tmp_path
    return factories.make_project()


@pytest.fixture
def engineer(factories, project, client):
    user = factories.make_user("engineer", project=project, role=Role.ENGINEER)
    client.force_login(user)
    client.cookies["django_language"] = "en"
    return user


@pytest.fixture(scope="module")
def samples(django_db_setup, django_db_blocker) -> Iterator[dict[str, dict[str, object]]]:
    """Two projects with a thing for every address, made once: a test's changes are undone."""
    from tests.web import factories

    everything = transaction.atomic()
    with django_db_blocker.unblock():
        everything.__enter__()
        made = {
            slug: factories.samples(factories.make_project(slug, slug))
            for slug in ("sampled", "foreign")
        }
    yield made
    with django_db_blocker.unblock():
        transaction.set_rollback(True)
        everything.__exit__(None, None, None)

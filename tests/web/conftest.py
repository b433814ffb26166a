"""What the tests of results start from; a module with other needs has its own of the same name."""

import pytest

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

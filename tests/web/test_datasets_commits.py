"""A version is made once, whoever asks how often, and never of what is going away."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from studio.accounts.models import Role
from studio.datasets import services
from studio.datasets.commits import import_commit
from studio.datasets.models import DatasetVersion, Import
from studio.datasets.previews import check_start, preview_start

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]
PAUSE_SECONDS = 0.3
"""For this long the one that came second must be seen waiting."""


class Second(threading.Thread):
    """Does the same, or the opposite, on a connection of its own."""

    def __init__(self, act: Callable[[], Any]) -> None:
        super().__init__()
        self._act = act
        self.result: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._act()
        except ValidationError as exc:
            self.result = exc
        finally:
            connection.close()


@pytest.fixture
def project(factories):
    return factories.make_project()


@pytest.fixture
def expert(factories, project):
    return factories.make_user("lina", project=project, role=Role.EXPERT)


@pytest.fixture
def started(factories, project, expert):
    """An import that waits for its person."""
    upload = factories.make_upload(project, expert)
    preview = preview_start(upload=upload, actor=expert, dataset_name="Funds", kind="domain_test")
    factories.execute(preview.run)
    started = check_start(preview=preview, actor=expert)
    factories.execute(started.run)
    return started


def test_two_people_who_keep_the_same_rows_at_once_make_one_version(
    factories, project, expert, started
) -> None:
    other = factories.make_user("chen", project=project, role=Role.ADMIN)

    def keep(actor):
        again = Import.objects.get(pk=started.pk)
        return import_commit(started=again, actor=actor, accepts_rejected=True)

    with transaction.atomic():
        first = keep(expert)
        second = Second(lambda: keep(other))
        second.join(PAUSE_SECONDS)
        assert second.is_alive(), "it did not wait for who came first"
    second.join()
    assert second.result == first
    assert DatasetVersion.objects.get().created_by == expert


def test_what_is_being_discarded_is_not_kept(expert, started) -> None:
    with transaction.atomic():
        services.upload_discard(upload=started.upload, actor=expert)
        second = Second(lambda: import_commit(started=started, actor=expert, accepts_rejected=True))
        second.join(PAUSE_SECONDS)
        assert second.is_alive(), "it did not wait for who came first"
    second.join()
    assert isinstance(second.result, ValidationError)
    assert second.result.code == "discarded"
    assert not DatasetVersion.objects.exists()


def test_rows_that_nobody_kept_leave_the_disk_with_their_file(expert, started) -> None:
    from studio.datasets.uncommitted import uncommitted_rows

    ((rows, _project),) = uncommitted_rows(Import.objects.all())
    assert (rows / "rows.parquet").is_file()
    services.upload_discard(upload=started.upload, actor=expert)
    assert not rows.exists()
    assert not started.upload.path.exists()


def test_rows_that_were_kept_stay_when_their_file_goes(expert, started) -> None:
    version = import_commit(started=started, actor=expert, accepts_rejected=True)
    services.upload_discard(upload=started.upload, actor=expert)
    assert version.rows_path.is_file()

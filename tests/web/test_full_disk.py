"""A full disk under files or database gives a page that says so, and leaves nothing half done."""

import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError, OperationalError
from django.db.utils import ConnectionHandler
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import translation
from django.utils.functional import SimpleLazyObject

from studio.accounts.models import Role
from studio.datasets.models import Preview, Upload
from studio.pages.errors import insufficient_storage, is_storage_full
from tests.small_disk import SmallDisk, small_disk

pytestmark = pytest.mark.postgres

HEADINGS = {"en": "disk is full", "zh-hans": "磁盘已满"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", num_bytes=1_000_000) as disk:
        yield disk


def test_an_upload_is_stored_whole_or_not_at_all(disk: SmallDisk, factories, settings) -> None:
    partial = disk.path / "uploads" / "partial"
    partial.mkdir(parents=True)
    settings.STUDIO_DATA_DIR = disk.path
    settings.FILE_UPLOAD_TEMP_DIR = partial
    settings.STUDIO_DISK_RESERVE_BYTES = -1_000_000_000  # the guard sees room where none is
    project = factories.make_project()
    client = Client(raise_request_exception=False)
    client.force_login(factories.make_user("e", project=project, role=Role.EXPERT))
    url = reverse("datasets:upload", args=[project.slug])
    content = b"question,answer\n" + b"".join(
        f"Q{n},{os.urandom(30).hex()}\n".encode() for n in range(1000)
    )

    def upload():
        file = SimpleUploadedFile("table.csv", content)
        return client.post(url, {"file": file, "kind": "domain_test", "name": "T"})

    num_failed = 0
    for num_blocks in range(disk.num_free):
        disk.leave(num_blocks)
        language = sorted(HEADINGS)[num_blocks % 2]
        client.cookies["django_language"] = language
        response = upload()
        disk.leave_all()
        if response.status_code != 507:
            break
        num_failed += 1
        assert HEADINGS[language] in response.content.decode()
        assert list(partial.iterdir()) == []
        assert [path.name for path in partial.parent.iterdir()] == ["partial"]
        assert not Upload.objects.exists()
    assert num_failed > 10
    assert Upload.objects.count() <= 1
    # Refused before anything is stored, or stored: with room it goes through either way.
    assert upload().status_code == 302
    stored = Upload.objects.get()
    assert stored.path.read_bytes() == content
    assert Preview.objects.filter(upload=stored).exists()


def test_an_administrator_frees_space_on_the_page_that_says_so(
    disk: SmallDisk, factories, settings
) -> None:
    settings.STUDIO_DATA_DIR = disk.path
    settings.STUDIO_DISK_RESERVE_BYTES = -1_000_000_000
    partial = disk.path / "uploads" / "partial"
    partial.mkdir(parents=True)
    settings.FILE_UPLOAD_TEMP_DIR = partial
    left_behind = partial / "tmpabc.upload.csv"
    left_behind.write_bytes(bytes(200_000))
    os.utime(left_behind, (0, 0))
    project = factories.make_project()
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(factories.make_user("root", is_superuser=True))
    client.cookies["django_language"] = "en"
    url = reverse("datasets:upload", args=[project.slug])
    token = _csrf_token(client.get(url).content)
    disk.leave(0)
    file = SimpleUploadedFile("table.csv", os.urandom(50_000))
    fields = {"file": file, "kind": "domain_test", "name": "T"}
    response = client.post(url, fields | {"csrfmiddlewaretoken": token})
    assert response.status_code == 507
    form = response.content.decode().partition(f'action="{reverse("storage:site_free")}"')[2]
    token = _csrf_token(form.encode())
    assert (
        client.post(reverse("storage:site_free"), {"csrfmiddlewaretoken": token}).status_code == 302
    )
    assert not left_behind.exists()


def _csrf_token(content: bytes) -> str:
    found = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', content)
    assert found is not None
    return found[1].decode()


@pytest.mark.django_db  # of its own; the mark lets any connection through
def test_a_database_on_a_full_disk_is_recognised(disk: SmallDisk) -> None:
    name = disk.path / "x.sqlite3"
    options = {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"}
    databases = {
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": name, "OPTIONS": options}
    }
    num_failed = 0
    for num_blocks in range(0, 60, 3):
        disk.leave_all()
        for path in disk.path.glob("x.sqlite3*"):
            path.unlink()
        database = ConnectionHandler(databases)["default"]
        with database.cursor() as cursor:
            cursor.execute("CREATE TABLE t (a)")
            disk.leave(num_blocks)
            num_rows = 0
            for _insert in range(200):
                try:
                    cursor.execute("INSERT INTO t VALUES (%s)", ["x" * 3000])
                except DatabaseError as error:
                    assert is_storage_full(error), repr(error.__cause__)  # noqa: PT017
                    num_failed += 1
                    break
                num_rows += 1
            disk.leave_all()
            cursor.execute("SELECT count(*) FROM t")
            assert cursor.fetchone() == (num_rows,)
            cursor.execute("PRAGMA integrity_check")
            assert cursor.fetchone() == ("ok",)
        database.close()
    assert num_failed > 10


def test_postgresqls_code_is_known_and_other_errors_are_not_taken_for_it() -> None:
    class ServerError(Exception):
        sqlstate = "53100"

    full = OperationalError("could not extend file")
    full.__cause__ = ServerError()
    assert is_storage_full(full)
    ServerError.sqlstate = "53200"  # out of memory
    assert not is_storage_full(full)
    assert not is_storage_full(sqlite3.OperationalError("database is locked"))


@pytest.mark.parametrize("language", sorted(HEADINGS))
def test_the_page_needs_neither_session_nor_database(language: str) -> None:
    def no_user() -> object:
        raise OperationalError("database or disk is full")

    request = RequestFactory().get("/")
    request.user = SimpleLazyObject(no_user)
    with translation.override(language):
        response = insufficient_storage(request)
    assert response.status_code == 507
    content = response.content.decode()
    assert HEADINGS[language] in content
    assert f'lang="{"en" if language == "en" else "zh-Hans"}"' in content

"""`manage.py verify_files` finds what is not as the database names it."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from studio.datasets.models import DatasetVersion, Upload

pytestmark = pytest.mark.django_db


@pytest.fixture
def stored(settings, tmp_path, factories):
    """An upload and the version that was made of it."""
    settings.STUDIO_DATA_DIR = tmp_path
    (tmp_path / "uploads").mkdir()
    project = factories.make_project()
    factories.make_import(project, factories.make_user("lina", project=project, role="expert"))
    return Upload.objects.get(), DatasetVersion.objects.get()


def verify() -> tuple[str, str]:
    """What the command printed, and its complaints."""
    out, err = StringIO(), StringIO()
    try:
        call_command("verify_files", stdout=out, stderr=err)
    except CommandError as exc:
        return str(exc), err.getvalue()
    return out.getvalue(), err.getvalue()


def test_what_is_whole_is_counted(stored) -> None:
    assert verify() == ("2 files are what the database names\n", "")


def test_a_flipped_byte_and_a_missing_file_are_named(stored) -> None:
    upload, version = stored
    content = bytearray(version.rows_path.read_bytes())
    content[len(content) // 2] ^= 1
    version.rows_path.write_bytes(content)
    upload.path.unlink()
    said, complaints = verify()
    assert said == "2 of 2 files are not what the database names"
    assert f"{version.rows_path} has another SHA-256" in complaints
    assert f"{upload.path} is missing" in complaints

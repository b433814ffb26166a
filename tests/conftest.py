"""Fixtures for every test that uses the database or the web."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker) -> None:
    """The test database, in which audit lines can be deleted.

    Tests with real transactions are cleaned up by deleting all rows, which the audit's trigger
    forbids. `test_accounts_audit` puts the trigger back to see it work.
    """
    from django.db import connection

    with django_db_blocker.unblock(), connection.cursor() as cursor:
        table = " ON accounts_auditevent" if connection.vendor == "postgresql" else ""
        cursor.execute(f"DROP TRIGGER IF EXISTS audit_no_delete{table}")


@pytest.fixture
def factories(db: None) -> ModuleType:
    """The functions of tests/web/factories.py, which make rows."""
    path = Path(__file__).parent / "web" / "factories.py"
    spec = importlib.util.spec_from_file_location("web_factories", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

"""How tests run beside each other, and fixtures for those that use the database or the web."""

import importlib
import os
from pathlib import Path
from types import ModuleType

import pytest
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling

# Before torch is imported, by this process, the workers of a parallel run and every child of a
# test: tiny models gain nothing from a second thread, and the second core has a worker of its own.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
# Platforms whose runs are real trainings. They compute, and wait patiently for what they started.
TRAININGS = {"test_demo.py", "test_journey.py", "test_real_training.py"}
# What is done in a row, for it starts processes that would starve beside more of their kind:
# trainings, other platforms of real processes, servers with a browser.
CHAINS = ("trainings", "supervision", "browser")
# The long ones first, so that no worker is left alone with one at the end.
ORDER = (*CHAINS, "ml", "web", "contract", "architecture")
# Platforms measure time and wait for each other's processes; tests that only compute give way.
NICENESS = 10


def group_of(nodeid: str) -> str:
    """`trainings`, or the folder of tests/ that the test is in."""
    path = Path(nodeid.partition("::")[0])
    return "trainings" if path.name in TRAININGS else path.parts[1]


class ModuleScheduling(LoadScopeScheduling):
    """A module stays on one worker, and so does a chain.

    Groups by marks (`--dist loadgroup`) are silently ignored by pytest-xdist 3.8 with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        group = group_of(nodeid)
        return group if group in CHAINS else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ModuleScheduling:
    return ModuleScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: ORDER.index(group_of(item.nodeid)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A worker is given chains first, and keeps its niceness from the first test that computes."""
    if hasattr(item.config, "workerinput") and group_of(item.nodeid) not in CHAINS:
        os.nice(max(0, NICENESS - os.nice(0)))


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
    return importlib.import_module("tests.web.factories")

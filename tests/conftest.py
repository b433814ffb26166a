"""How tests run beside each other, and fixtures for those that use the database or the web."""

import gc
import importlib
import os
import zlib
from pathlib import Path
from types import ModuleType

import pytest
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling

# Before torch is imported, by this process, the workers of a parallel run and every child of a
# test: tiny models gain nothing from a second thread, and the second core has a worker of its own.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
# Whole recipes, each for itself: they compute for a minute or four, and wait patiently for what
# they started.
RECIPES = {"test_demo.py", "test_journey.py", "test_real_training.py", "test_replication.py"}
# Platforms of real processes, and servers with a browser. Their tests wait more than they
# compute, and measure time: of each kind one at a time, beside model tests, or they starve.
ALONE = {"supervision", "browser"}
# The long ones first, so that no worker is left alone with one at the end; browsers when the
# faults are over.
ORDER = ("recipes", "faults", "supervision", "ml", "browser", "web", "contract", "architecture")


def group_of(nodeid: str) -> str:
    """Recipes, faults on two cores at once, or the folder of tests/ of the test."""
    path = Path(nodeid.partition("::")[0])
    if path.name in RECIPES:
        return "recipes"
    return "faults" if path.name == "test_fault_campaign.py" else path.parts[1]


class ModuleScheduling(LoadScopeScheduling):
    """A module stays on one worker, and so do all platforms, and all browsers.

    Groups by marks (`--dist loadgroup`) are silently ignored by pytest-xdist 3.8 with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        group = group_of(nodeid)
        return group if group in ALONE else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ModuleScheduling:
    return ModuleScheduling(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--third-of-generated", action="store_true",
        help="of the many cases of a kind (marked `generated`) the third that their names choose",
    )  # fmt: skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("third_of_generated"):
        chosen = [item for item in items if _is_of_the_third(item)]
        config.hook.pytest_deselected(items=list(set(items).difference(chosen)))
        items[:] = chosen
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: ORDER.index(group_of(item.nodeid)))


def _is_of_the_third(item: pytest.Item) -> bool:
    is_generated = item.get_closest_marker("generated") is not None
    return not is_generated or zlib.crc32(item.nodeid.encode()) % 3 == 0


def pytest_collection_finish() -> None:
    """Two million objects of imported libraries, which no collection need look at again: 4%."""
    gc.freeze()


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

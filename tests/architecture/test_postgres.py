"""`make test-postgres` runs what a database decides; nothing of it is forgotten."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
DECIDED_BY_A_DATABASE = re.compile(
    r"\blifecycle\b|\bnew_platform\.start_runs\b|IntegrityError|DatabaseError"
    r"|transaction=True|select_for_update|\\u0000|\\x00"
)
"""Runs and their locks, constraints, transactions, and text that not every database stores."""


def marks(path: Path) -> set[str]:
    """Names of the marks in a module's `pytestmark`."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            return set(re.findall(r"pytest\.mark\.(\w+)", ast.unparse(node.value)))
    return set()


@pytest.mark.parametrize("folder", ["web", "supervision"])
def test_a_module_about_what_a_database_decides_runs_on_postgresql(folder: str) -> None:
    modules = sorted((TESTS / folder).glob("test_*.py"))
    decided = [
        path for path in modules if DECIDED_BY_A_DATABASE.search(path.read_text(encoding="utf-8"))
    ]
    assert decided, "the rule finds nothing any more"
    assert [path.name for path in decided if "postgres" not in marks(path)] == []

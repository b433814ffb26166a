"""The layout rules of docs/architecture.md, as checks of what exists on disk."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_platform_is_a_source_root_not_a_package() -> None:
    """The *file* must be absent: importing `platform` finds the standard library's either way."""
    assert not (ROOT / "platform/__init__.py").exists()


def test_platform_holds_no_loose_module() -> None:
    """A loose module under a source root becomes a top-level module and may shadow another."""
    assert [path.name for path in (ROOT / "platform").glob("*.py")] == []


def test_tests_hold_no_package() -> None:
    """`tests/pipeline/__init__.py` would make `import pipeline` find the tests."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_the_fixed_top_level_exists() -> None:
    expected = {"manage.py", "requirements.txt", "platform", "workers", "pipeline", "templates"}
    assert expected <= {path.name for path in ROOT.iterdir()}


def test_one_module_makes_writing_durable() -> None:
    """Elsewhere a rename without a flush looks as safe; the event log flushes what it appends."""
    found = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "pipeline").rglob("*.py"))
        if re.search(
            r"\.rename\(|\.replace\(.*\bPath|os\.(fsync|rename|replace)", path.read_text("utf-8")
        )
    ]
    assert found == ["pipeline/durable.py", "pipeline/execution.py"]

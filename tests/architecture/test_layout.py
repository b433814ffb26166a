"""The layout rules of docs/architecture.md, as checks of what exists on disk."""

import re
import statistics
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = tuple(
    path
    for root in ("pipeline", "workers", "platform", "bench")
    for path in sorted((ROOT / root).rglob("*.py"))
    if "migrations" not in path.parts
)
"""Everything that runs in production, migrations aside, and what measures it."""
MAX_MODULE_LINES = 350
MAX_MEDIAN_LINES = 100
MAX_APP_SHARE = 1 / 5


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


def num_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_modules_are_short() -> None:
    """One can be read in a sitting; most of them at a glance."""
    lengths = {path.relative_to(ROOT).as_posix(): num_lines(path) for path in PROGRAM}
    assert {name: n for name, n in lengths.items() if n > MAX_MODULE_LINES} == {}
    assert statistics.median(n for n in lengths.values() if n) < MAX_MEDIAN_LINES


def test_no_app_is_the_house() -> None:
    """What grows beyond a fifth of the platform's Python is several apps by now."""
    apps = {path.parent for path in (ROOT / "platform/studio").glob("*/apps.py")}
    sizes = {
        app.name: sum(num_lines(path) for path in PROGRAM if path.is_relative_to(app))
        for app in apps
    }
    total = sum(sizes.values())
    too_big = {name: f"{n / total:.1%}" for name, n in sizes.items() if n > MAX_APP_SHARE * total}
    assert too_big == {}

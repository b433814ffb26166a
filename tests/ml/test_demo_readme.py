"""The README's table of results is the one its committed summary gives."""

from pathlib import Path

import pytest

from pipeline.demo.__main__ import main
from pipeline.demo.tables import BEGIN, read_summary, with_table

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
SUMMARY = ROOT / "docs/demonstration_summary.json"


def test_the_table_is_that_of_the_summary() -> None:
    readme = README.read_text(encoding="utf-8")
    assert with_table(readme, read_summary(SUMMARY)) == readme, "the table is stale: make docs"


def test_another_figure_makes_the_table_stale(tmp_path: Path) -> None:
    summary = read_summary(SUMMARY)
    ratio = next(row.figure for row in summary.claims if row.claim.key == "speedup")
    changed = tmp_path / "summary.json"
    document = summary.model_dump_json().replace(f'"value":{ratio.value}', '"value":9.5')
    changed.write_text(document, encoding="utf-8")
    readme = tmp_path / "README.md"
    readme.write_text(README.read_text(encoding="utf-8"), encoding="utf-8")
    assert main(["readme", "--summary", str(changed), "--readme", str(readme)]) == 0
    written = readme.read_text(encoding="utf-8")
    assert "9.500x" in written
    assert written != README.read_text(encoding="utf-8")
    before, _marker, _rest = README.read_text(encoding="utf-8").partition(BEGIN)
    assert written.startswith(before)


def test_a_readme_without_the_markers_is_left_as_it_is() -> None:
    with pytest.raises(ValueError, match="lacks the lines"):
        with_table("# A README\n", read_summary(SUMMARY))

"""`docs/results.md` is the page that its committed summary gives."""

from pathlib import Path

from pipeline.replication.__main__ import main
from pipeline.replication.document import as_document
from pipeline.replication.parts import PARTS
from pipeline.replication.results import ReplicationSummary

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, SUMMARY = DOCS / "results.md", DOCS / "replication_summary.json"


def test_the_page_is_that_of_the_summary() -> None:
    page = as_document(ReplicationSummary.in_file(SUMMARY))
    assert page == PAGE.read_text(encoding="utf-8"), "the page is stale: make docs"


def test_without_a_run_no_part_has_a_figure(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    nothing = tmp_path / "none.json"
    assert main(["document", "--summary", str(nothing), "--document", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.count("Not run yet:") == len(PARTS)
    for part in PARTS:
        assert f"make replicate ONLY={part.key}" in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert {row[2] for row in rows[2:]} == {"not run yet"}
    assert not nothing.exists()

"""The README's table of results is the one its committed summary gives."""

from html import unescape
from pathlib import Path

import pytest

from pipeline.contracts.estimates import Estimate
from pipeline.contracts.gauge_results import GaugeReason, GaugeVerdict
from pipeline.contracts.verdicts import Verdict
from pipeline.demo.__main__ import main
from pipeline.demo.report_html import write_report
from pipeline.demo.summary import Summary
from pipeline.demo.tables import BEGIN, as_table, read_summary, readme_table, with_table

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
SUMMARY = ROOT / "docs/demonstration_summary.json"


def test_the_table_is_that_of_the_summary() -> None:
    readme = README.read_text(encoding="utf-8")
    assert with_table(readme, read_summary(SUMMARY)) == readme, "the table is stale: make docs"


def judged_summary(verdict: str, *, reason: str = "interval", needed: int | None = None) -> Summary:
    """The committed summary, as if its gauge had been judged."""
    summary = read_summary(SUMMARY)
    evaluation = summary.evaluation("evaluate_cpt")
    estimate = Estimate(value=0.0476, low=0.0441, high=0.0513, level=0.95, n=40, num_units=40)
    judged = GaugeVerdict(
        verdict=Verdict(verdict), reason=GaugeReason(reason), margin=0.02,
        kl_bits_per_byte=estimate, base_bits_per_byte=1.09,
        bits_per_byte_ratio=Estimate(value=1.047, n=40, num_units=40), passages_needed=needed,
    )  # fmt: skip
    gauge = evaluation.gauge.model_copy(update={"judged": judged})
    evaluations = {"evaluate_cpt": evaluation.model_copy(update={"gauge": gauge})}
    return summary.model_copy(update={"results": {**summary.results, **evaluations}})


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        (judged_summary("FAIL"), "FAIL at a margin of 0.02 bits/byte; 1.047x the bits per byte"),
        (
            judged_summary("INCONCLUSIVE", reason="interval_crosses_margin", needed=160),
            "at a margin of 0.02 bits/byte; about 160 passages would settle it; 1.047x the bits",
        ),
        (
            judged_summary("INCONCLUSIVE", reason="too_few_passages", needed=20),
            "at a margin of 0.02 bits/byte; nothing is decided below 20 passages; 1.047x the bits",
        ),
    ],
)
def test_every_place_shows_the_same_row_of_retention(summary, said, tmp_path: Path) -> None:
    """One figure, its interval, its passages and its verdict; the questions only witness."""
    write_report(summary, tmp_path / "report.html")
    page = unescape((tmp_path / "report.html").read_text(encoding="utf-8"))
    for text in (as_table(summary), readme_table(summary), page):
        for part in ("0.0476 bits/byte", "0.0441 ... 0.0513", "40 passages", said):
            assert part in text
        assert "not the measure behind the paper's 99.8%" in text
    assert "second witness, 64 questions" in page
    assert "second witness" not in as_table(summary)


def test_a_summary_from_before_there_was_a_verdict_says_so(tmp_path: Path) -> None:
    """Its gauge has totals only; nothing else takes the verdict's place."""
    summary = read_summary(SUMMARY)
    evaluation = summary.evaluation("evaluate_cpt")
    old = evaluation.gauge.model_copy(update={"judged": None})
    results = {"evaluate_cpt": evaluation.model_copy(update={"gauge": old})}
    summary = summary.model_copy(update={"results": {**summary.results, **results}})
    write_report(summary, tmp_path / "report.html")
    assert "not judged: scores of single texts are missing" in readme_table(summary)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"totals only: KL(base||model) {old.kl_nats_per_token:.3f} nats/token" in page


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

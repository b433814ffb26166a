"""The claims as plain text for a terminal and as the README's table."""

from pathlib import Path

from pipeline.demo.claim_texts import (
    RETENTION_MEASURE,
    count_words,
    figure_words,
    format_interval,
    verdict_words,
)
from pipeline.demo.summary import Summary

BEGIN = "<!-- results: begin, written by `python -m pipeline.demo readme` -->"
END = "<!-- results: end -->"


def as_table(summary: Summary) -> str:
    """The claims as a plain-text table, the published figure first."""
    lines = [f"{'claim':<44} {'paper':>10}  {'here':>16}  {'95% interval':<17} {'n':>12}  verdict"]
    for row in summary.claims:
        verdict = verdict_words(row.claim, summary)
        lines.append(
            f"{row.claim.title.en:<44} {row.claim.published:>10}  "
            f"{figure_words(row).en:>16}  {format_interval(row):<17} {count_words(row).en:>12}  "
            f"{'' if verdict is None else verdict.en}"
        )
    total = sum(summary.seconds.values())
    lines.append("")
    lines.append("The paper does not define its retention, ROUGE or BLEU; budgets here are tiny.")
    lines.append(f"Retention here: {RETENTION_MEASURE.en}.")
    lines.append(f"{total / 60:.1f} minutes of work in {len(summary.seconds)} steps.")
    return "\n".join(lines)


def readme_table(summary: Summary) -> str:
    """The claims as a Markdown table between the README's two markers."""
    lines = [
        BEGIN,
        "",
        "| claim | paper | here | 95% interval | n | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for row in summary.claims:
        verdict = verdict_words(row.claim, summary)
        cells = (
            row.claim.title.en,
            row.claim.published,
            figure_words(row).en,
            format_interval(row),
            count_words(row).en,
            "" if verdict is None else verdict.en,
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        f"Retention: {RETENTION_MEASURE.en}.",
        f"{sum(summary.seconds.values()) / 60:.0f} minutes of work at {summary.code_version[:12]}, "
        f"{summary.environment.processor}, threads: {summary.environment.num_threads}.",
        "",
        END,
    ]
    return "\n".join(lines)


def with_table(readme: str, summary: Summary) -> str:
    """The README's text with the table of `summary` between its markers.

    Raises:
        ValueError: the text lacks the markers.
    """
    before, begin, rest = readme.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the README lacks the lines {BEGIN!r} and {END!r}")
    return before + readme_table(summary) + after


def read_summary(path: Path) -> Summary:
    """The summary in a file."""
    return Summary.parse(path.read_bytes())

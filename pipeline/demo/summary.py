"""The demonstration's figures beside the published ones.

What the paper does not define is marked so; a figure of ours never appears without its interval and
count. The demonstration shows that the machinery works: its budgets are far too small to confirm or
refute a published ratio.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.contracts.plans import metric_at
from pipeline.contracts.reports import Report
from pipeline.errors import StepError
from pipeline.evaluation.overlap_comparison import compare_overlap
from pipeline.evaluation.samples import read_samples

PUBLISHED_SOURCE = "arXiv 2505.04723, abstract"
VERDICTS = {"PASS": "保持", "FAIL": "未保持", "INCONCLUSIVE": "无法定论"}
"""The verdicts on retention, in Chinese."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultRow:
    """One claim: what was published, what this run measured."""

    key: str
    published: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str
    """What was counted and resampled, such as `questions`."""
    detail: dict[str, str]
    """Absolute values behind the ratio, in `zh` and `en`."""
    verdict: dict[str, str] | None = None
    """In `zh` and `en`; None for a figure that nothing is judged by."""


def summarize(step_dirs: Mapping[str, Path]) -> dict[str, Any]:
    """`summary.json` of a finished demonstration: rows, seconds of each step, reports by step.

    Args:
        step_dirs: the run directory of each step of `build_plan`, in the order to be listed.

    Raises:
        StepError: `run.no_report`, a step has not finished.
    """
    reports = {step_id: _report(step_id, path) for step_id, path in step_dirs.items()}
    first = reports["evaluate_base"]
    return {
        "v": 1,
        "published_source": PUBLISHED_SOURCE,
        "rows": [asdict(row) for row in _rows(step_dirs, reports)],
        "seconds": {step_id: report.seconds for step_id, report in reports.items()},
        "code_version": first.code_version,
        "environment": first.environment.model_dump(),
        "reports": {step_id: report.metrics for step_id, report in reports.items()},
    }


def _report(step_id: str, directory: Path) -> Report:
    path = directory / "report.json"
    if not path.exists():
        raise StepError(step_id, "run.no_report", f"there is no {path}; has the step finished?", 1)
    return Report.parse(path.read_bytes())


def _rows(step_dirs: Mapping[str, Path], reports: Mapping[str, Report]) -> list[ResultRow]:
    cpt, base = reports["evaluate_cpt"].metrics, reports["evaluate_base"].metrics
    progressive = reports["evaluate_sft_progressive"].metrics
    single = reports["evaluate_sft_single_stage"].metrics
    return [
        _retention_row(cpt),
        _overlap_row(
            "cpt_rouge1", "1.08x", cpt["text_overlap_vs_baseline"]["rouge1"], "rouge1", base, cpt
        ),
        _overlap_row(
            "cpt_bleu4", "1.17x", cpt["text_overlap_vs_baseline"]["bleu4"], "bleu4", base, cpt
        ),
        *_sft_rows(step_dirs, single, progressive),
        _speedup_row(reports["speculative_decode"].metrics),
    ]


def _retention_row(cpt: dict[str, Any]) -> ResultRow:
    retention = cpt["retention"]["accuracy"]
    estimate = retention["micro"]
    interval = estimate["ratio_interval"]
    probability = metric_at(cpt, "retention.probability.micro") or {}
    return ResultRow(
        key="general_ability_retention",
        published="99.8%",
        value=estimate["ratio"],
        low=interval["low"] if interval else None,
        high=interval["high"] if interval else None,
        n=estimate["num_items"],
        unit="questions",
        detail=_both(
            "accuracy {0:.3f} -> {1:.3f}; probability of the right choice {2:.3f} -> {3:.3f}; "
            "KL(base||model) {4:.3f} nats/token on text the base wrote",
            "正确率 {0:.3f} -> {1:.3f}；正确选项概率 {2:.3f} -> {3:.3f}；"
            "在基座所写文本上 KL(base||model) 为 {4:.3f} 纳特/词元",
            estimate["base"],
            estimate["new"],
            probability["base"],
            probability["new"],
            cpt["gauge"]["kl_nats_per_token"],
        ),
        verdict={
            "en": f"{retention['verdict']} at a {retention['margin']:.0%} margin",
            "zh": f"{VERDICTS[retention['verdict']]}（容许损失 {retention['margin']:.0%}）",
        },
    )


def _overlap_row(
    key: str,
    published: str,
    comparison: dict[str, Any],
    metric: str,
    baseline: dict[str, Any],
    candidate: dict[str, Any],
) -> ResultRow:
    interval = comparison["ratio_interval"]
    before, after = baseline["text_overlap"], candidate["text_overlap"]
    return ResultRow(
        key=key,
        published=published,
        value=comparison["ratio"],
        low=interval["low"] if interval else None,
        high=interval["high"] if interval else None,
        n=comparison["n"],
        unit="questions",
        detail=_both(
            "{0:.2f} -> {1:.2f}; answer length {2:.0f} -> {3:.0f} tokens; brevity penalty "
            "{4:.2f} -> {5:.2f}; cut at the cap {6:.0%} -> {7:.0%}",
            "{0:.2f} -> {1:.2f}；答案长度 {2:.0f} -> {3:.0f} 词；简短惩罚 "
            "{4:.2f} -> {5:.2f}；触顶截断 {6:.0%} -> {7:.0%}",
            *(
                scores[key]
                for key in (metric, "mean_answer_tokens", "brevity_penalty", "cut_at_cap_fraction")
                for scores in (before, after)
            ),
        ),
    )


def _sft_rows(
    step_dirs: Mapping[str, Path], single: dict[str, Any], progressive: dict[str, Any]
) -> tuple[ResultRow, ResultRow]:
    """Progressive over single-stage, paired on the same questions."""
    rows = {
        name: {
            str(row["item_id"]): row
            for row in read_samples(
                step_dirs[f"evaluate_{name}"] / "samples.parquet", "text_overlap"
            )
        }
        for name in ("sft_single_stage", "sft_progressive")
    }
    compared = compare_overlap(rows["sft_single_stage"], rows["sft_progressive"])
    return (
        _overlap_row("sft_rouge1", "1.02x", compared["rouge1"], "rouge1", single, progressive),
        _overlap_row("sft_bleu4", "1.06x", compared["bleu4"], "bleu4", single, progressive),
    )


def _speedup_row(bench: dict[str, Any]) -> ResultRow:
    arm = bench["arms"]["distilled"]
    control = bench["arms"]["control_target_text"]
    lossless = bench["losslessness"]["is_lossless"]
    speedup = arm["speedup"]
    return ResultRow(
        key="decoding_speedup",
        published="1.39-1.52x",
        value=speedup["value"],
        low=speedup["low"],
        high=speedup["high"],
        n=speedup["n"],
        unit="prompts",
        detail=_both(
            "draft length {0}, {1:.2f} tokens per target step; control draft {2:.2f}x; n-gram "
            "{3:.2f}x; c = {4:.2f}; {5:.0%} of the oracle bound",
            "草稿长度 {0}，每个目标步 {1:.2f} 个词元；对照草稿 {2:.2f}x；n-gram "
            "{3:.2f}x；c = {4:.2f}；达到理论上界的 {5:.0%}",
            arm["num_speculative_tokens"],
            arm["mean_acceptance_length"],
            control["speedup"]["value"],
            bench["arms"]["ngram"]["speedup"]["value"],
            arm["costs"]["c"],
            arm["fraction_of_oracle_bound"],
        ),
        verdict=_both("lossless", "无损") if lossless else _both("NOT LOSSLESS", "有损"),
    )


def _both(en: str, zh: str, *values: float) -> dict[str, str]:
    return {"en": en.format(*values), "zh": zh.format(*values)}


TITLES = {
    "general_ability_retention": "General ability kept by CPT",
    "cpt_rouge1": "CPT over base, ROUGE-1",
    "cpt_bleu4": "CPT over base, BLEU-4",
    "sft_rouge1": "Progressive over single-stage SFT, ROUGE-1",
    "sft_bleu4": "Progressive over single-stage SFT, BLEU-4",
    "decoding_speedup": "Speculative decoding, distilled draft",
}


def as_table(summary: dict[str, Any]) -> str:
    """The rows as a plain-text table, the published figure first."""
    lines = [f"{'claim':<44} {'paper':>10}  {'here':>7}  {'95% interval':<16} {'n':>4}  verdict"]
    for row in summary["rows"]:
        lines.append(
            f"{TITLES[row['key']]:<44} {row['published']:>10}  {format_ratio(row['value']):>7}  "
            f"{format_interval(row):<16} {row['n']:>4}  {(row['verdict'] or {}).get('en', '')}"
        )
    total = sum(summary["seconds"].values())
    lines.append("")
    lines.append("The paper does not define its retention, ROUGE or BLEU; budgets here are tiny.")
    lines.append(f"{total / 60:.1f} minutes of work in {len(summary['seconds'])} steps.")
    return "\n".join(lines)


def format_ratio(value: float | None) -> str:
    """`1.042x`, or a dash where there is no ratio."""
    return "-" if value is None else f"{value:.3f}x"


def format_interval(row: dict[str, Any]) -> str:
    """`0.950 ... 1.102`, or a dash where there is no interval."""
    return "-" if row["low"] is None else f"{row['low']:.3f} ... {row['high']:.3f}"

"""The rows of `claim_rows` in words, for the terminal, the HTML report and the README."""

from pipeline.contracts.claims import Claim, ClaimRow, Words
from pipeline.contracts.estimates import FEW_UNITS
from pipeline.contracts.evaluation_results import (
    EvaluateResults,
    RetentionByScore,
    TextOverlapResults,
)
from pipeline.contracts.gauge_results import GaugeReason, GaugeResults
from pipeline.contracts.verdicts import Verdict
from pipeline.demo.summary import STEP_OF_ROLE, Summary

VERDICTS = {
    Verdict.PASS: Words(en="PASS", zh="保持"),
    Verdict.FAIL: Words(en="FAIL", zh="未保持"),
    Verdict.INCONCLUSIVE: Words(en="INCONCLUSIVE", zh="无法定论"),
}
UNITS = {"prompt": Words(en="prompts", zh="条提示"), "item": Words(en="questions", zh="题")}
RETENTION_MEASURE = Words(
    en="KL(base || model) on text the base wrote, lower is better; not the measure behind the "
    "paper's 99.8%, whose definition is not published",
    zh="在基座所写文本上的 KL(base || model)，越低越好；"
    "与论文的 99.8% 不是同一指标，论文未公布其定义",
)
DISTILLED, CONTROL, NGRAM = "distilled", "control_target_text", "ngram"


def figure_words(row: ClaimRow) -> Words:
    """`1.042x`, or `0.0561 bits/byte` where the figure is no ratio; a dash without one."""
    if row.figure is None or row.claim.is_ratio:
        ratio = format_ratio(None if row.figure is None else row.figure.value)
        return Words(en=ratio, zh=ratio)
    value = f"{row.figure.value:.4f}"
    return Words(en=f"{value} bits/byte", zh=f"{value} 比特/字节")


def format_ratio(value: float | None) -> str:
    """`1.042x`, or a dash where there is no ratio."""
    return "-" if value is None else f"{value:.3f}x"


def format_interval(row: ClaimRow) -> str:
    """`0.950 ... 1.102`, or a dash where there is no interval."""
    if row.figure is None or row.figure.interval is None:
        return "-"
    digits = 3 if row.claim.is_ratio else 4
    return f"{row.figure.low:.{digits}f} ... {row.figure.high:.{digits}f}"


def count_words(row: ClaimRow) -> Words:
    """How many of what were compared; of texts, how many passages they continue."""
    if row.figure is None:
        return Words(en="-", zh="-")
    if row.claim.gauge == "retention":
        return Words(en=f"{row.figure.num_units} passages", zh=f"{row.figure.num_units} 个段落")
    unit = UNITS["prompt" if row.figure.resampled == "prompt" else "item"]
    return Words(en=f"{row.figure.n} {unit.en}", zh=f"{row.figure.n} {unit.zh}")


def verdict_words(claim: Claim, summary: Summary) -> Words | None:
    """What may be said; None for a figure that nothing is judged by."""
    if claim.gauge == "speedup":
        checked = summary.benchmark.losslessness
        if checked is None:
            return Words(en="losslessness not checked", zh="未检验无损")
        if checked.is_lossless:
            return Words(en="lossless", zh="无损")
        return Words(en="NOT LOSSLESS", zh="有损")
    if claim.gauge != "retention":
        return None
    return gauge_verdict_words(_candidate(claim, summary))


def gauge_verdict_words(results: EvaluateResults) -> Words:
    """The verdict on how far a model moved from its base, its margin, and what would settle it."""
    judged = None if results.gauge is None else results.gauge.judged
    if judged is None:
        return Words(
            en="not judged: scores of single texts are missing", zh="未判定：缺少逐文本得分"
        )
    verdict = VERDICTS[judged.verdict]
    en = f"{verdict.en} at a margin of {judged.margin:g} bits/byte"
    zh = f"{verdict.zh}（容许 {judged.margin:g} 比特/字节）"
    if judged.reason is GaugeReason.TOO_FEW_PASSAGES:
        en += f"; nothing is decided below {FEW_UNITS} passages"
        zh += f"；不足 {FEW_UNITS} 个段落不作结论"
    elif judged.passages_needed is not None:
        en += f"; about {judged.passages_needed} passages would settle it"
        zh += f"；约需 {judged.passages_needed} 个段落才能定论"
    if judged.bits_per_byte_ratio is not None:
        ratio = judged.bits_per_byte_ratio.value
        en += f"; {ratio:.3f}x the bits per byte of the base"
        zh += f"；所需比特/字节为基座的 {ratio:.3f} 倍"
    return Words(en=en, zh=zh)


def detail_words(claim: Claim, summary: Summary) -> Words:
    """The absolute values behind a ratio."""
    if claim.gauge == "speedup":
        return _speedup_detail(summary)
    if claim.gauge == "retention":
        return _retention_detail(_candidate(claim, summary))
    return _overlap_detail(claim, summary)


def _retention_detail(candidate: EvaluateResults) -> Words:
    texts = [*_gauge_details(candidate.gauge), *_witness(candidate.retention)]
    return Words(en="; ".join(one.en for one in texts), zh="；".join(one.zh for one in texts))


def _gauge_details(gauge: GaugeResults | None) -> list[Words]:
    if gauge is None:
        return []
    if gauge.judged is None:
        return [
            _both(
                "totals only: KL(base||model) {0:.3f} nats/token on text the base wrote",
                "只有合计：在基座所写文本上 KL(base||model) 为 {0:.3f} 纳特/词元",
                gauge.kl_nats_per_token,
            )
        ]
    return [RETENTION_MEASURE]


def _witness(retention: RetentionByScore | None) -> list[Words]:
    """What the multiple-choice questions say: they are asked too, and do not decide."""
    if retention is None:
        return []
    accuracy, right = retention.accuracy.micro, retention.probability.micro
    verdict = VERDICTS[retention.accuracy.verdict]
    near_chance = retention.accuracy.macro.adjusted_ratio is None
    witness = _both(
        "second witness, {0} questions: accuracy {1:.3f} -> {2:.3f}, probability of the right "
        "choice {3:.3f} -> {4:.3f}, ",
        "旁证，{0} 道选择题：正确率 {1:.3f} -> {2:.3f}，正确选项概率 {3:.3f} -> {4:.3f}，",
        accuracy.num_items,
        accuracy.base,
        accuracy.new,
        right.base,
        right.new,
    )
    margin = f"{retention.accuracy.margin:.0%}"
    return [
        Words(
            en=f"{witness.en}{verdict.en} at a {margin} margin"
            + (" (the base is too near chance for a ratio)" if near_chance else ""),
            zh=f"{witness.zh}{verdict.zh}（容许损失 {margin}）"
            + ("，基座过于接近随机水平，没有比值" if near_chance else ""),
        )
    ]


def _overlap_detail(claim: Claim, summary: Summary) -> Words:
    before, after = (_overlap(summary.evaluation(STEP_OF_ROLE[role])) for role in claim.pair or ())
    key = claim.measure or ""
    values = _both(
        "{0:.2f} -> {1:.2f}; answer length {2:.0f} -> {3:.0f} tokens; brevity penalty "
        "{4:.2f} -> {5:.2f}; cut at the cap {6:.0%} -> {7:.0%}",
        "{0:.2f} -> {1:.2f}；答案长度 {2:.0f} -> {3:.0f} 词；简短惩罚 "
        "{4:.2f} -> {5:.2f}；触顶截断 {6:.0%} -> {7:.0%}",
        before.figures[key],
        after.figures[key],
        before.figures["num_answer_tokens"],
        after.figures["num_answer_tokens"],
        before.brevity_penalty,
        after.brevity_penalty,
        before.figures["cut_at_cap"],
        after.figures["cut_at_cap"],
    )
    needed = _items_needed(claim, summary)
    if needed is None:
        return values
    return Words(
        en=f"{values.en}; about {needed:,} questions would settle it",
        zh=f"{values.zh}；约需 {needed:,} 题才能定论",
    )


def _items_needed(claim: Claim, summary: Summary) -> int | None:
    compared = [one for one in summary.overlaps if (one.baseline, one.candidate) == claim.pair]
    figures = [one.figures[claim.measure] for one in compared if claim.measure in one.figures]
    return figures[0].items_needed if figures else None


def _speedup_detail(summary: Summary) -> Words:
    benchmark = summary.benchmark
    arm = benchmark.arms[benchmark.headline_arm]
    texts = [
        _both(
            "draft length {0}, {1:.2f} tokens per target step",
            "草稿长度 {0}，每个目标步 {1:.2f} 个词元",
            arm.num_speculative_tokens or 0,
            arm.mean_acceptance_length or 1.0,
        )
    ]
    for name, label in ((CONTROL, ("control draft", "对照草稿")), (NGRAM, ("n-gram", "n-gram"))):
        other = benchmark.arms.get(name)
        if other is not None and other.speedup is not None:
            en, zh = label
            texts.append(_both(f"{en} {{0:.2f}}x", f"{zh} {{0:.2f}}x", other.speedup.value))
    # An engine that cannot be probed from outside (vLLM) has neither costs nor a bound.
    if arm.costs is not None:
        texts.append(_both("c = {0:.2f}", "c = {0:.2f}", arm.costs.c))
    if arm.fraction_of_oracle_bound is not None:
        share = arm.fraction_of_oracle_bound
        texts.append(_both("{0:.0%} of the oracle bound", "达到理论上界的 {0:.0%}", share))
    return Words(en="; ".join(one.en for one in texts), zh="；".join(one.zh for one in texts))


def _candidate(claim: Claim, summary: Summary) -> EvaluateResults:
    assert claim.candidate is not None  # noqa: S101 (only decoding has none)
    return summary.evaluation(STEP_OF_ROLE[claim.candidate])


def _overlap(results: EvaluateResults) -> TextOverlapResults:
    if results.text_overlap is None:
        raise TypeError("the evaluation asked no domain questions")
    return results.text_overlap


def _both(en: str, zh: str, *values: float) -> Words:
    return Words(en=en.format(*values), zh=zh.format(*values))

"""The paper's claims and what a plan of ours measured for each: stated once.

Terminal, HTML report, page and README render `claim_rows`. Published figures are quoted (arXiv
2505.04723, abstract); what was measured behind them, and how, is not published, so no row says that
a claim is confirmed or refuted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pipeline.contracts.decoding_results import SpeculativeDecodeResults
from pipeline.contracts.estimates import Estimate, PairedFigure
from pipeline.contracts.evaluation_results import EvaluateResults

SOURCE = "SOAEsV2-7B/72B, arXiv 2505.04723"

Role = Literal["base", "cpt", "sft_single_stage", "sft_progressive"]
"""An evaluated checkpoint of the recipe."""
Gauge = Literal["retention", "overlap", "speedup"]


class Words(NamedTuple):
    """A text in both languages of the product."""

    en: str
    zh: str

    def in_language(self, code: str) -> str:
        """The Chinese text for every Chinese language code, else the English one."""
        return self.zh if code.startswith("zh") else self.en


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A figure of the paper's abstract, and what of ours stands beside it."""

    key: str
    title: Words
    short: Words
    """For the axis of a chart."""
    published: str
    """As the paper writes it."""
    low: float
    high: float
    gauge: Gauge
    baseline: Role | None = None
    """The evaluation in the denominator; None for decoding."""
    candidate: Role | None = None
    measure: str | None = None
    """Of an overlap claim, the key of the measure (`contracts.samples`)."""

    @property
    def is_ratio(self) -> bool:
        """Whether our figure is a ratio like the published one. Retention is not: it is read off
        the divergence from the base, which can be decided where a ratio of scores cannot."""
        return self.gauge != "retention"

    @property
    def pair(self) -> tuple[Role, Role] | None:
        """(baseline, candidate), or None for decoding."""
        if self.baseline is None or self.candidate is None:
            return None
        return self.baseline, self.candidate


CLAIMS: tuple[Claim, ...] = (
    Claim(
        key="retention",
        title=Words(en="General ability kept by CPT", zh="持续预训练后通用能力保持"),
        short=Words(en="General ability", zh="通用能力"),
        published="99.8%",
        low=0.998,
        high=0.998,
        gauge="retention",
        baseline="base",
        candidate="cpt",
    ),
    Claim(
        key="cpt_rouge1",
        title=Words(en="CPT over base, ROUGE-1", zh="持续预训练 / 基座，ROUGE-1"),
        short=Words(en="CPT, ROUGE-1", zh="持续预训练，ROUGE-1"),
        published="1.08x",
        low=1.08,
        high=1.08,
        gauge="overlap",
        baseline="base",
        candidate="cpt",
        measure="rouge1",
    ),
    Claim(
        key="cpt_bleu4",
        title=Words(en="CPT over base, BLEU-4", zh="持续预训练 / 基座，BLEU-4"),
        short=Words(en="CPT, BLEU-4", zh="持续预训练，BLEU-4"),
        published="1.17x",
        low=1.17,
        high=1.17,
        gauge="overlap",
        baseline="base",
        candidate="cpt",
        measure="bleu4",
    ),
    Claim(
        key="sft_rouge1",
        title=Words(
            en="Progressive over single-stage SFT, ROUGE-1",
            zh="渐进式 / 单阶段微调，ROUGE-1",
        ),
        short=Words(en="SFT, ROUGE-1", zh="微调，ROUGE-1"),
        published="1.02x",
        low=1.02,
        high=1.02,
        gauge="overlap",
        baseline="sft_single_stage",
        candidate="sft_progressive",
        measure="rouge1",
    ),
    Claim(
        key="sft_bleu4",
        title=Words(
            en="Progressive over single-stage SFT, BLEU-4",
            zh="渐进式 / 单阶段微调，BLEU-4",
        ),
        short=Words(en="SFT, BLEU-4", zh="微调，BLEU-4"),
        published="1.06x",
        low=1.06,
        high=1.06,
        gauge="overlap",
        baseline="sft_single_stage",
        candidate="sft_progressive",
        measure="bleu4",
    ),
    Claim(
        key="speedup",
        title=Words(en="Speculative decoding, distilled draft", zh="投机解码加速（蒸馏草稿）"),
        short=Words(en="Decoding speed", zh="解码速度"),
        published="1.39-1.52x",
        low=1.39,
        high=1.52,
        gauge="speedup",
    ),
)

Pair = tuple[Role, Role]


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What a plan measured, as far as it has."""

    evaluations: Mapping[Role, EvaluateResults] = field(default_factory=dict)
    overlaps: Mapping[Pair, Mapping[str, PairedFigure]] = field(default_factory=dict)
    """By (baseline, candidate) and measure."""
    benchmark: SpeculativeDecodeResults | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimRow:
    """One claim with our figure, or without one where it was not measured."""

    claim: Claim
    figure: Estimate | None = None
    """Candidate / baseline; of retention KL(base || model) in bits per byte."""
    before: float | None = None
    """Absolute figure of the baseline, in the measure's stored unit; tokens per second of plain
    decoding; bits per byte that the base needs for its own text."""
    after: float | None = None
    missing: tuple[Role, ...] = ()
    """Roles that were not evaluated."""


def claim_rows(evidence: Evidence) -> tuple[ClaimRow, ...]:
    """The claims in the paper's order."""
    rows = {"retention": _retention_row, "overlap": _overlap_row, "speedup": _speedup_row}
    return tuple(rows[claim.gauge](claim, evidence) for claim in CLAIMS)


def overlap_pairs() -> tuple[Pair, ...]:
    """The (baseline, candidate) pairs whose overlaps the claims compare."""
    pairs = [claim.pair for claim in CLAIMS if claim.gauge == "overlap"]
    return tuple(dict.fromkeys(pair for pair in pairs if pair is not None))


def _retention_row(claim: Claim, evidence: Evidence) -> ClaimRow:
    assert claim.candidate is not None  # noqa: S101 (the table above)
    # The candidate's report holds the base's figures too, whether or not the base's is at hand.
    results = evidence.evaluations.get(claim.candidate)
    if results is None:
        return ClaimRow(claim=claim, missing=(claim.candidate,))
    gauge = results.gauge
    if gauge is None or gauge.judged is None:
        return ClaimRow(claim=claim)
    # What the verdict judges: it never stands beside another figure.
    return ClaimRow(
        claim=claim,
        figure=gauge.judged.kl_bits_per_byte,
        before=gauge.judged.base_bits_per_byte,
        after=gauge.bits_per_byte,
    )


def _overlap_row(claim: Claim, evidence: Evidence) -> ClaimRow:
    assert claim.pair is not None  # noqa: S101 (the table above)
    missing = tuple(role for role in claim.pair if role not in evidence.evaluations)
    figure = evidence.overlaps.get(claim.pair, {}).get(claim.measure or "")
    if missing or figure is None:
        return ClaimRow(claim=claim, missing=missing)
    return ClaimRow(
        claim=claim, figure=figure.ratio, before=figure.baseline, after=figure.candidate
    )


def _speedup_row(claim: Claim, evidence: Evidence) -> ClaimRow:
    benchmark = evidence.benchmark
    if benchmark is None or (arm := benchmark.arms.get(benchmark.headline_arm)) is None:
        return ClaimRow(claim=claim)
    plain = benchmark.arms.get("autoregressive")
    return ClaimRow(
        claim=claim,
        figure=arm.speedup,
        before=None if plain is None else plain.tokens_per_second,
        after=arm.tokens_per_second,
    )

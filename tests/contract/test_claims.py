"""The paper's claims: each has one row, with our ratio or with what is missing."""

import json
from pathlib import Path

from pipeline.contracts.claims import CLAIMS, Evidence, claim_rows, overlap_pairs
from pipeline.contracts.estimates import Estimate
from pipeline.contracts.evaluation_results import EvaluateResults
from pipeline.contracts.gauge_results import GaugeReason, GaugeResults, GaugeVerdict
from pipeline.contracts.reports import parse_report
from pipeline.contracts.results import value_at
from pipeline.contracts.samples import MEASURES
from pipeline.contracts.verdicts import Verdict

OLD = Path(__file__).parent / "golden/v1/reports"


def results(kind: str):
    return parse_report((OLD / f"{kind}.json").read_bytes()).results


def test_nothing_measured_gives_every_claim_without_a_ratio() -> None:
    rows = claim_rows(Evidence())
    assert [row.claim for row in rows] == list(CLAIMS)
    assert [row.figure for row in rows] == [None] * 6
    assert rows[0].missing == ("cpt",)
    assert rows[1].missing == ("base", "cpt")
    assert rows[5].missing == ()


def test_a_row_holds_the_stored_ratio_and_the_two_values_behind_it() -> None:
    evaluation, benchmark = results("evaluate"), results("speculative_decode")
    rows = claim_rows(
        Evidence(
            evaluations={"base": evaluation, "cpt": evaluation},
            overlaps={("base", "cpt"): evaluation.text_overlap_vs_baseline},
            benchmark=benchmark,
        )
    )
    retention, rouge1, bleu4, sft_rouge1, sft_bleu4, speedup = rows
    # Its report is older than the verdict on the gauge: the row has nothing else to show.
    assert (retention.figure, retention.missing) == (None, ())
    assert rouge1.figure == evaluation.text_overlap_vs_baseline["rouge1"].ratio
    assert bleu4.after == evaluation.text_overlap.figures["bleu4"]
    assert sft_rouge1.missing == sft_bleu4.missing == ("sft_single_stage", "sft_progressive")
    assert speedup.figure == benchmark.arms["distilled"].speedup
    assert speedup.before == benchmark.arms["autoregressive"].tokens_per_second


def test_retention_is_the_figure_that_its_verdict_judges() -> None:
    """And nothing of the questions, whose ratio may be undefined whatever was trained."""
    gauge = judged_gauge()
    evaluation = EvaluateResults(gauge=gauge)
    row = claim_rows(Evidence(evaluations={"cpt": evaluation}))[0]
    assert row.figure == gauge.judged.kl_bits_per_byte
    assert (row.before, row.after) == (gauge.judged.base_bits_per_byte, gauge.bits_per_byte)
    assert [row.claim.is_ratio for row in claim_rows(Evidence())] == [False, *[True] * 5]


def judged_gauge() -> GaugeResults:
    estimate = Estimate(value=0.04, low=0.03, high=0.05, level=0.95, n=40, num_units=40)
    return GaugeResults(
        bits_per_byte=1.14, kl_nats_per_token=0.13, num_texts=40, num_tokens=2560, num_bytes=11800,
        judged=GaugeVerdict(
            verdict=Verdict.INCONCLUSIVE, reason=GaugeReason.INTERVAL_CROSSES_MARGIN, margin=0.045,
            kl_bits_per_byte=estimate, base_bits_per_byte=1.09, bits_per_byte_ratio=None,
            passages_needed=160,
        ),
    )  # fmt: skip


def test_a_gate_can_ask_for_the_verdict_and_for_the_divergence() -> None:
    results = EvaluateResults(gauge=judged_gauge())
    assert value_at(results, "gauge.judged.verdict") == "INCONCLUSIVE"
    assert value_at(results, "gauge.judged.kl_bits_per_byte.high") == 0.05


def test_a_pair_that_was_not_compared_yet_has_no_ratio_and_nothing_missing() -> None:
    evaluation = results("evaluate")
    rows = claim_rows(Evidence(evaluations={"base": evaluation, "cpt": evaluation}))
    assert (rows[1].figure, rows[1].missing) == (None, ())


def test_claims_name_measures_that_exist_and_speak_both_languages() -> None:
    keys = {measure.key for measure in MEASURES}
    for claim in CLAIMS:
        assert claim.measure is None or claim.measure in keys
        assert claim.title.en != claim.title.in_language("zh-hans") == claim.title.zh
        assert claim.low <= claim.high
    assert overlap_pairs() == (("base", "cpt"), ("sft_single_stage", "sft_progressive"))
    assert len({claim.key for claim in CLAIMS}) == 6
    assert json.dumps([claim.published for claim in CLAIMS]).count("x") == 5

"""The paper's claims: each has one row, with our ratio or with what is missing."""

import json
from pathlib import Path

from pipeline.contracts.claims import CLAIMS, Evidence, claim_rows, overlap_pairs
from pipeline.contracts.reports import parse_report
from pipeline.contracts.samples import MEASURES

OLD = Path(__file__).parent / "golden/v1/reports"


def results(kind: str):
    return parse_report((OLD / f"{kind}.json").read_bytes()).results


def test_nothing_measured_gives_every_claim_without_a_ratio() -> None:
    rows = claim_rows(Evidence())
    assert [row.claim for row in rows] == list(CLAIMS)
    assert [row.ratio for row in rows] == [None] * 6
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
    # The figure that the verdict judges, not the raw ratio beside it.
    assert retention.ratio == evaluation.retention.accuracy.macro.adjusted_ratio
    assert retention.after == evaluation.retention.accuracy.macro.new
    assert rouge1.ratio == evaluation.text_overlap_vs_baseline["rouge1"].ratio
    assert bleu4.after == evaluation.text_overlap.figures["bleu4"]
    assert sft_rouge1.missing == sft_bleu4.missing == ("sft_single_stage", "sft_progressive")
    assert speedup.ratio == benchmark.arms["distilled"].speedup
    assert speedup.before == benchmark.arms["autoregressive"].tokens_per_second


def test_a_pair_that_was_not_compared_yet_has_no_ratio_and_nothing_missing() -> None:
    evaluation = results("evaluate")
    rows = claim_rows(Evidence(evaluations={"base": evaluation, "cpt": evaluation}))
    assert (rows[1].ratio, rows[1].missing) == (None, ())


def test_claims_name_measures_that_exist_and_speak_both_languages() -> None:
    keys = {measure.key for measure in MEASURES}
    for claim in CLAIMS:
        assert claim.measure is None or claim.measure in keys
        assert claim.title.en != claim.title.in_language("zh-hans") == claim.title.zh
        assert claim.low <= claim.high
    assert overlap_pairs() == (("base", "cpt"), ("sft_single_stage", "sft_progressive"))
    assert len({claim.key for claim in CLAIMS}) == 6
    assert json.dumps([claim.published for claim in CLAIMS]).count("x") == 5

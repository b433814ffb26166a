"""What the demonstration's report says of decoding: intervals, bound and verdict of each arm."""

from html import unescape
from pathlib import Path

import pytest

from pipeline.contracts.claims import Words
from pipeline.contracts.decoding_results import DecodingCosts, Prediction
from pipeline.contracts.estimates import Estimate
from pipeline.demo.decoding_charts import acceptance_chart, speedup_chart
from pipeline.demo.report_html import write_report
from pipeline.demo.tables import read_summary

SUMMARY = Path(__file__).resolve().parents[2] / "docs/demonstration_summary.json"
PREDICTION = Prediction(
    speedup=Estimate(value=0.857, low=0.81, high=0.92, level=0.95, n=8, num_units=8),
    verdict="does_not_pay",
    speedup_by_length={"1": 0.857},
    tokens_per_round=1.2,
    round_cost=1.4,
    needed_c=0.011,
    needed_v=0.9,
    mean_v=1.1,
    oracle_bound=1.1,
)


@pytest.fixture
def predicted():
    """The committed summary, as if its first arm had been predicted."""
    summary = read_summary(SUMMARY)
    benchmark = summary.benchmark
    name = benchmark.headline_arm
    arm = benchmark.arms[name].model_copy(
        update={
            "prediction": PREDICTION,
            "measured_over_predicted": 1.034,
            "costs": DecodingCosts(c=0.05, v=(1.0, 1.1), h=0.0, target_step_seconds=0.04),
        }
    )
    results = {
        step: found.model_copy(update={"arms": {**benchmark.arms, name: arm}})
        if found == benchmark
        else found
        for step, found in summary.results.items()
    }
    return summary.model_copy(update={"results": results}), arm


def test_prediction_and_bound_are_drawn_beside_what_was_measured(predicted) -> None:
    _summary, arm = predicted
    measured, _varied, before, bound = speedup_chart([(Words("arm", "方案"), arm)], "zh").data
    assert (measured.y[0], before.y[0], bound.y[0]) == (arm.speedup.value, 0.857, arm.oracle_bound)
    assert before.error_y.array[0] == pytest.approx(0.92 - 0.857)
    assert before.error_y.arrayminus[0] == pytest.approx(0.857 - 0.81)
    assert not bound.error_y.visible
    (accepted,) = acceptance_chart([(Words("arm", "方案"), arm)], "zh").data
    assert tuple(accepted.y) == arm.acceptance_per_position


def test_the_page_says_whether_an_arm_pays_and_what_that_hangs_on(predicted, tmp_path) -> None:
    summary, arm = predicted
    write_report(summary, tmp_path / "report.html")
    page = unescape((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "as fast as plain decoding with one of: 1.40 tokens a round instead of 1.20" in page
    assert "c of 0.011 instead of 0.050" in page
    assert "满足其一即与普通解码同速" in page
    assert "0.857x (0.81–0.92)" in page
    assert "1.034x" in page
    assert f'<td class="number">{1000 / arm.tokens_per_second:.1f}</td>' in page
    assert f'<td class="number">{arm.prefill_seconds + arm.decode_seconds:.2f}</td>' in page

"""The gauge of retention: totals, intervals over passages, verdicts and what would settle them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contracts.evaluation_spec import GaugeSettings
from pipeline.contracts.gauge_margin import CALIBRATION, GAUGE_MARGIN
from pipeline.contracts.gauge_results import GaugeReason, GaugeScore
from pipeline.contracts.verdicts import Verdict
from pipeline.errors import DataError
from pipeline.metrics.gauge import judge_gauge, summarize_gauge

NATS = math.log(2)


def score(number, kl_bits, *, passage=None, num_bytes=100, bits=105.0, base_bits=100.0):
    """A text of these total bits."""
    return GaugeScore(
        id=f"t{number}",
        passage=f"p{number}" if passage is None else passage,
        num_tokens=25,
        num_bytes=num_bytes,
        nats=NATS * bits,
        base_nats=NATS * base_bits,
        kl_nats=NATS * kl_bits,
    )


def drawn(rng, num_passages, *, mean, texts_each=1):
    """Texts whose divergence is skewed over passages and grows with their bytes."""
    scores = []
    for passage in range(num_passages):
        level = rng.gamma(4.0, mean / 4.0)
        for number in range(texts_each):
            num_bytes = int(rng.integers(150, 350))
            kl = num_bytes * level * rng.gamma(6.0, 1 / 6.0)
            scores.append(
                score(f"{passage}-{number}", kl, passage=f"p{passage}", num_bytes=num_bytes,
                      bits=num_bytes + kl, base_bits=float(num_bytes))
            )  # fmt: skip
    return scores


def test_figures_by_hand() -> None:
    """Two texts of 100 and 300 bytes: 4 and 8 bits of divergence are 12 / 400 = 0.03 a byte."""
    scores = [score(1, 4.0), score(2, 8.0, num_bytes=300, bits=330.0, base_bits=300.0)]
    gauge = summarize_gauge(scores, margin=0.05)
    judged = gauge.judged
    assert gauge.bits_per_byte == pytest.approx(435 / 400)
    assert gauge.kl_nats_per_token == pytest.approx(12 * NATS / 50)
    assert (gauge.num_texts, gauge.num_tokens, gauge.num_bytes) == (2, 50, 400)
    assert judged.kl_bits_per_byte.value == pytest.approx(0.03)
    assert judged.base_bits_per_byte == pytest.approx(1.0)
    assert judged.bits_per_byte_ratio.value == pytest.approx(435 / 400)
    assert judged.kl_bits_per_byte.resampled == "text"
    assert (judged.verdict, judged.passages_needed) == (Verdict.INCONCLUSIVE, 20)


def test_error_is_that_of_a_ratio_of_sums_over_passages() -> None:
    """The linearised error, sd(kl - r * bytes) / (sqrt(units) * mean bytes), on 400 passages."""
    scores = drawn(np.random.default_rng(5), 400, mean=0.04, texts_each=2)
    estimate = judge_gauge(scores, margin=0.05).kl_bits_per_byte
    totals = {}
    for one in scores:
        kl, num_bytes = totals.get(one.passage, (0.0, 0.0))
        totals[one.passage] = kl + one.kl_nats / NATS, num_bytes + one.num_bytes
    kl, num_bytes = np.array(list(totals.values())).T
    ratio = kl.sum() / num_bytes.sum()
    error = np.std(kl - ratio * num_bytes, ddof=1) / math.sqrt(len(kl)) / num_bytes.mean()
    assert estimate.value == pytest.approx(ratio)
    assert estimate.high - estimate.low == pytest.approx(2 * 1.966 * error, rel=0.04)
    assert (estimate.n, estimate.num_units, estimate.resampled) == (800, 400, "prompt")


def test_a_model_that_is_its_base_passes_without_an_interval() -> None:
    scores = [score(number, 0.0, bits=100.0) for number in range(20)]
    judged = judge_gauge(scores, margin=0.05)
    assert (judged.verdict, judged.reason) == (Verdict.PASS, GaugeReason.IDENTICAL)
    assert judged.kl_bits_per_byte.interval is None
    assert (judged.bits_per_byte_ratio.value, judged.bits_per_byte_ratio.interval) == (1.0, None)
    assert judge_gauge(scores[:19], margin=0.05).reason is GaugeReason.TOO_FEW_PASSAGES


def test_an_interval_is_never_without_width() -> None:
    """Passages that all diverge by the same say nothing of others: no verdict, and no number."""
    judged = judge_gauge([score(number, 1.0) for number in range(30)], margin=0.05)
    assert judged.kl_bits_per_byte.interval is None
    assert (judged.verdict, judged.passages_needed) == (Verdict.INCONCLUSIVE, None)


def test_a_single_text_has_figures_and_no_interval() -> None:
    judged = judge_gauge([score(1, 4.0)], margin=0.05)
    assert judged.kl_bits_per_byte.interval is None
    assert judged.verdict is Verdict.INCONCLUSIVE


def test_no_text_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        summarize_gauge([], margin=0.05)
    assert caught.value.code == "data.empty"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**20),
    num_passages=st.integers(1, 60),
    texts_each=st.integers(1, 3),
    mean=st.sampled_from([1e-6, 0.01, 0.04, 0.05, 0.06, 0.5]),
    order=st.randoms(use_true_random=False),
)
def test_the_verdict_is_read_off_the_interval_in_any_order(
    seed, num_passages, texts_each, mean, order
) -> None:
    scores = drawn(np.random.default_rng(seed), num_passages, mean=mean, texts_each=texts_each)
    found = summarize_gauge(scores, margin=0.05)
    order.shuffle(scores)
    assert summarize_gauge(scores, margin=0.05) == found
    judged, estimate = found.judged, found.judged.kl_bits_per_byte
    assert estimate.num_units == num_passages
    if num_passages < 20:
        assert (judged.verdict, judged.passages_needed) == (Verdict.INCONCLUSIVE, 20)
        return
    assert 0.0 <= estimate.low < estimate.value < estimate.high
    ratio = judged.bits_per_byte_ratio
    assert ratio.low < ratio.value < ratio.high
    expected = {Verdict.PASS: estimate.high <= 0.05, Verdict.FAIL: estimate.low > 0.05}
    assert [verdict for verdict, holds in expected.items() if holds] == (
        [] if judged.verdict is Verdict.INCONCLUSIVE else [judged.verdict]
    )
    is_settled = judged.verdict is not Verdict.INCONCLUSIVE
    assert (judged.passages_needed is None) == is_settled
    assert is_settled or judged.passages_needed > num_passages


def test_the_passages_asked_for_settle_the_verdict() -> None:
    """In about half of the draws of that size: the estimate moves too."""
    rng = np.random.default_rng(3)
    settled = []
    while len(settled) < 40:
        judged = judge_gauge(drawn(rng, 30, mean=0.04), margin=0.05)
        if judged.passages_needed is not None and judged.kl_bits_per_byte.value < 0.05:
            more = drawn(rng, judged.passages_needed, mean=judged.kl_bits_per_byte.value)
            settled.append(judge_gauge(more, margin=0.05).verdict is Verdict.PASS)
    assert 0.3 <= np.mean(settled) <= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("texts_each", [1, 3])
def test_a_model_at_the_margin_rarely_passes(texts_each: int) -> None:
    """40 passages, a true divergence of exactly the margin: 2.5% may pass, and 2.5% fail."""
    rng = np.random.default_rng(11)
    verdicts = [
        judge_gauge(drawn(rng, 40, mean=0.05, texts_each=texts_each), margin=0.05).verdict
        for _ in range(400)
    ]
    assert np.mean([one is Verdict.PASS for one in verdicts]) <= 0.05  # three standard errors
    assert np.mean([one is Verdict.FAIL for one in verdicts]) <= 0.05


def test_the_margin_lies_between_the_planted_models() -> None:
    """Harmless rounding ends below it and forgetting starts above, each by a factor; and intervals
    near it are at most half of it to each side, so that a verdict can be reached."""
    harmless, harmful = CALIBRATION.harmless, CALIBRATION.harmful
    assert 10 * harmless.high < GAUGE_MARGIN < harmful.low / 10
    assert CALIBRATION.num_passages == GaugeSettings.model_fields["num_samples"].default
    for planted in (harmless, harmful, *CALIBRATION.others):
        assert planted.low < planted.value < planted.high
        # The width grows with the value: what it would be at the margin.
        half_width = (planted.high - planted.low) / 2 / planted.value * GAUGE_MARGIN
        assert half_width <= GAUGE_MARGIN / 2
    assert GaugeSettings.model_fields["margin"].default == GAUGE_MARGIN

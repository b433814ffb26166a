"""Bootstrap against enumeration, a naive loop and known coverage; McNemar against scipy."""

import itertools
import math
import random
import time

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from scipy.stats import binomtest

from pipeline.contracts.estimates import PairedFigure
from pipeline.contracts.samples import MEASURES, Measure
from pipeline.errors import DataError, EvaluationError
from pipeline.metrics.paired import compare_paired, pair_by_id, summarize_items
from pipeline.metrics.text_overlap import score_samples
from pipeline.metrics.uncertainty import (
    bootstrap_sums,
    cluster_sums,
    mcnemar_exact,
    percentile_interval,
)

BY_KEY = {measure.key: measure for measure in MEASURES}


def _score(direction: str = "higher") -> Measure:
    return Measure(
        key="score",
        task="general_ability",
        column="score",
        type="float64",
        direction=direction,
        unit="points",
        aggregation="mean",
    )


def paired_bootstrap(baseline, candidate, *, direction: str = "higher", **options) -> PairedFigure:
    """One mean, compared alone."""
    measures = [_score(direction)]
    return compare_paired(measures, {"score": baseline}, {"score": candidate}, **options)["score"]


def paired_by_id(baseline: dict[str, float], candidate: dict[str, float], **options):
    """One mean of two results joined by item id."""
    shared, num_missing = pair_by_id(baseline, candidate)
    sides = ([side[item] for item in shared] for side in (baseline, candidate))
    return paired_bootstrap(*sides, num_missing=num_missing, **options)


def _exact_interval(values: list[float]) -> tuple[float, float]:
    """Bounds of the bootstrap distribution itself: every possible draw once."""
    ordered = sorted(values)
    tail = math.floor(0.025 * len(ordered))
    return ordered[tail], ordered[-1 - tail]


def test_intervals_equal_the_enumeration_of_every_possible_draw():
    baseline = np.array([0.21, 0.52, 0.83, 0.34, 0.65])
    candidate = np.array([0.36, 0.41, 0.97, 0.58, 0.60])
    draws = [list(draw) for draw in itertools.product(range(5), repeat=5)]
    differences = [float((candidate - baseline)[draw].mean()) for draw in draws]
    ratios = [float(candidate[draw].mean() / baseline[draw].mean()) for draw in draws]

    estimate = paired_bootstrap(baseline, candidate, num_resamples=200_000, seed=3)

    assert estimate.difference.value == pytest.approx(0.074)
    assert estimate.ratio.value == pytest.approx(2.92 / 2.55)
    for interval, exact in (
        (estimate.difference, _exact_interval(differences)),
        (estimate.ratio, _exact_interval(ratios)),
    ):
        assert (interval.low, interval.high) == pytest.approx(exact, abs=0.004)
    assert (estimate.n, estimate.num_units) == (5, 5)


def test_cluster_interval_equals_the_enumeration_of_every_draw_of_clusters():
    """Clusters of unequal size: the mean is over the drawn items, not over cluster means."""
    baseline = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.5])
    candidate = np.array([0.3, 0.4, 0.3, 0.6, 0.9, 0.4])
    clusters = ["a", "b", "a", "c", "c", "d"]
    members = [[0, 2], [1], [3, 4], [5]]
    ratios = []
    for draw in itertools.product(range(4), repeat=4):
        rows = [row for cluster in draw for row in members[cluster]]
        ratios.append(float(candidate[rows].mean() / baseline[rows].mean()))

    estimate = paired_bootstrap(baseline, candidate, clusters=clusters, num_resamples=100_000)

    interval = estimate.ratio
    assert (interval.low, interval.high) == pytest.approx(_exact_interval(ratios), abs=0.004)
    assert (estimate.n, estimate.num_units) == (6, 4)


def test_resampled_sums_equal_a_naive_loop_over_the_same_draws():
    units = np.random.default_rng(1).random((7, 3))
    other = np.random.default_rng(2).random((7, 2))
    sums, others = bootstrap_sums([units, other], num_resamples=40, rng=np.random.default_rng(5))
    rng = np.random.default_rng(5)
    # 16 + 16 + 8: the generator is asked once for each chunk
    draws = np.vstack([rng.integers(0, 7, size=(rows, 7)) for rows in (16, 16, 8)])
    assert sums == pytest.approx(np.array([units[draw].sum(axis=0) for draw in draws]))
    assert others == pytest.approx(np.array([other[draw].sum(axis=0) for draw in draws]))
    (alone,) = bootstrap_sums([units], num_resamples=40, rng=np.random.default_rng(5))
    assert (sums == alone).all()  # to the last bit, whatever stands beside it


def test_clusters_widen_the_interval_when_their_items_move_together():
    rng = np.random.default_rng(0)
    gain = np.repeat(rng.normal(0, 0.1, size=40), 10)
    baseline = rng.random(400)
    names = [f"passage-{index // 10}" for index in range(400)]
    items = paired_bootstrap(baseline, baseline + gain, num_resamples=2000).difference
    passages = paired_bootstrap(
        baseline, baseline + gain, clusters=names, num_resamples=2000
    ).difference
    widening = (passages.high - passages.low) / (items.high - items.low)
    assert widening == pytest.approx(math.sqrt(10), rel=0.15)


def test_pairing_makes_the_interval_of_a_constant_gain_a_point():
    baseline = np.random.default_rng(0).random(50)
    interval = paired_bootstrap(baseline, baseline + 0.1, num_resamples=500).difference
    assert (interval.low, interval.high) == pytest.approx((0.1, 0.1))


@pytest.mark.slow
def test_interval_covers_the_true_difference_and_ratio_as_often_as_it_says():
    """n = 200, 300 simulated sets: 95% coverage has a standard error of 1.3 points."""
    rng = np.random.default_rng(11)
    covered = np.zeros(2)
    for seed in range(300):
        ability = rng.beta(2, 2, size=200)
        baseline = ability + rng.normal(0, 0.1, size=200)
        candidate = 1.1 * ability + rng.normal(0, 0.1, size=200)  # means 0.50 and 0.55
        estimate = paired_bootstrap(baseline, candidate, num_resamples=500, seed=seed)
        for column, (interval, truth) in enumerate(
            ((estimate.difference, 0.05), (estimate.ratio, 1.1))
        ):
            covered[column] += interval.low <= truth <= interval.high
    assert ((covered / 300 > 0.91) & (covered / 300 < 0.99)).all()


def test_same_seed_same_interval_other_seed_another():
    rng = np.random.default_rng(0)
    baseline, candidate = rng.random(30), rng.random(30)
    first, again, other = (
        paired_bootstrap(baseline, candidate, num_resamples=300, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_ratio_is_undefined_for_a_baseline_of_zero_and_unbounded_near_it():
    zero = paired_bootstrap([0.0] * 8, [0.0] * 4 + [1.0] * 4, num_resamples=500)
    assert zero.ratio is None
    assert zero.difference.interval is not None
    rare = paired_bootstrap([1.0] + [0.0] * 9, [1.0] * 10, num_resamples=2000)
    assert rare.ratio.value == pytest.approx(10.0)
    assert rare.ratio.interval is None  # a third of the draws has no baseline at all


def test_one_unit_has_no_interval():
    estimate = paired_bootstrap([0.5, 0.6], [0.7, 0.7], clusters=["a", "a"])
    assert estimate.difference.value == pytest.approx(0.15)
    assert (estimate.difference.interval, estimate.ratio.interval) == (None, None)
    assert (estimate.n, estimate.num_units) == (2, 1)


def test_percentile_interval_counts_undefined_values_against_both_bounds():
    values = np.arange(1000, dtype=np.float64)
    assert percentile_interval(values, 0.95) == (24.0, 975.0)
    values[::100] = np.nan  # one per cent: the bounds move outwards
    assert percentile_interval(values, 0.95) == (15.0, 985.0)
    values[::10] = np.nan
    assert percentile_interval(values, 0.95) is None


def _texts(num_samples: int, seed: int) -> tuple[list[str], list[str], list[str]]:
    rng = random.Random(seed)
    words = [*"国企改革资产监管深化提升", "board", "2023"]
    references = ["".join(rng.choices(words, k=rng.randint(6, 15))) for _ in range(num_samples)]
    worse, better = (
        ["".join(c if rng.random() > rate else "x" for c in text) for text in references]
        for rate in (0.3, 0.15)
    )
    return references, worse, better


def test_bleu_bootstrap_equals_sacrebleu_on_the_drawn_texts():
    references, worse, better = _texts(12, seed=1)
    statistics = [
        [sample.bleu_statistics for sample in score_samples(texts, references)]
        for texts in (worse, better)
    ]
    sides = [{"bleu_statistics": counts} for counts in statistics]
    estimate = compare_paired([BY_KEY["bleu4"]], *sides, num_resamples=200, seed=9)["bleu4"]
    rng = np.random.default_rng(9)
    draws = np.vstack([rng.integers(0, 12, size=(min(16, 200 - s), 12)) for s in range(0, 200, 16)])
    metric = BLEU(tokenize="zh")

    def score(texts: list[str], draw: np.ndarray) -> float:
        return metric.corpus_score(
            [texts[row] for row in draw], [[references[row] for row in draw]]
        ).score

    pairs = np.array([(score(worse, draw), score(better, draw)) for draw in draws])
    everything = np.arange(12)
    assert estimate.baseline == pytest.approx(score(worse, everything), abs=1e-9)
    assert estimate.candidate == pytest.approx(score(better, everything), abs=1e-9)
    differences, ratios = np.sort(pairs[:, 1] - pairs[:, 0]), np.sort(pairs[:, 1] / pairs[:, 0])
    # 2.5% of 199 gaps is 4.975: the next value outwards on either side
    for interval, values in (
        (estimate.difference, differences),
        (estimate.ratio, ratios),
    ):
        assert (interval.low, interval.high) == pytest.approx((values[4], values[195]), abs=1e-9)


def test_compare_paired_joins_by_id_and_counts_every_item():
    baseline = {"a": 0.5, "b": 0.5, "c": 0.5, "d": 0.5, "only-baseline": 0.0}
    candidate = {"d": 0.4, "c": 0.5, "b": 0.9, "a": 0.8, "only-candidate": 1.0, "another": 1.0}
    comparison = paired_by_id(baseline, candidate, num_resamples=500)
    counts = (comparison.improved, comparison.regressed, comparison.tied, comparison.missing)
    assert counts == (2, 1, 1, 3)
    assert comparison.n == 4
    assert comparison.baseline == pytest.approx(0.5)
    assert comparison.difference.value == pytest.approx(0.15)
    assert comparison.ratio.value == pytest.approx(1.3)


def test_compare_paired_does_not_depend_on_the_order_of_the_mappings():
    rng = np.random.default_rng(0)
    baseline = {f"item-{index}": float(rng.random()) for index in range(40)}
    candidate = {item: float(rng.random()) for item in baseline}
    reversed_baseline = dict(reversed(baseline.items()))
    assert paired_by_id(baseline, candidate, num_resamples=300) == paired_by_id(
        reversed_baseline, candidate, num_resamples=300
    )


def test_compare_paired_knows_scores_where_lower_is_better():
    comparison = paired_by_id(
        {"a": 1.0, "b": 1.0, "c": 1.0},
        {"a": 0.9, "b": 0.8, "c": 1.6},
        direction="lower",
        num_resamples=50,
    )
    assert (comparison.improved, comparison.regressed) == (2, 1)
    assert comparison.difference.value == pytest.approx(0.1)


def test_compare_paired_uses_clusters():
    baseline = [0.5] * 6
    candidate = [0.5 + index / 10 for index in range(6)]
    clusters = [f"passage-{index // 2}" for index in range(6)]
    comparison = paired_bootstrap(baseline, candidate, clusters=clusters, num_resamples=50)
    assert (comparison.n, comparison.num_units) == (6, 3)
    assert comparison.difference.resampled == "cluster"
    with pytest.raises(EvaluationError, match="5 clusters for 6 items"):
        paired_bootstrap(baseline, candidate, clusters=clusters[:5])


def test_measures_compared_together_are_those_compared_alone():
    """Means and corpus BLEU in one pass: bit for bit what each would be by itself."""
    references, worse, better = _texts(30, seed=4)
    sides = []
    for texts in (worse, better):
        samples = [sample.columns() for sample in score_samples(texts, references)]
        sides.append({name: [sample[name] for sample in samples] for name in samples[0]})
    measures = [BY_KEY[key] for key in ("rouge1", "rougeL", "bleu4", "num_answer_tokens")]
    clusters = [f"document-{index // 3}" for index in range(30)]
    together = compare_paired(measures, *sides, clusters=clusters, num_resamples=300, seed=2)
    for measure in measures:
        alone = compare_paired([measure], *sides, clusters=clusters, num_resamples=300, seed=2)
        assert together[measure.key] == alone[measure.key]
    assert together["bleu4"].improved is None
    summary = summarize_items(measures, sides[1], clusters=clusters, num_resamples=300)
    assert summary["bleu4"].value == together["bleu4"].candidate
    assert (summary["rouge1"].n, summary["rouge1"].num_units) == (30, 10)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(EvaluationError, match="none of the baseline's 1 items"):
        pair_by_id({"a": 1.0}, {"b": 1.0})
    with pytest.raises(EvaluationError, match="2 baseline scores for 1 candidate"):
        paired_bootstrap([0.1, 0.2], [0.1])
    with pytest.raises(EvaluationError, match="1 clusters for 2 items"):
        cluster_sums(np.zeros((2, 1)), ["a"])
    with pytest.raises(DataError, match=r"item 1 are .*nan.* not finite") as caught:
        paired_bootstrap([0.1, 0.2], [0.1, math.nan])
    assert caught.value.code == "data.row_invalid"
    with pytest.raises(DataError) as caught:
        paired_bootstrap([], [])
    assert caught.value.code == "data.empty"


@pytest.mark.parametrize("num_regressed", [0, 1, 3, 10, 57, 400])
@pytest.mark.parametrize("num_improved", [0, 2, 10, 44, 403])
def test_mcnemar_equals_scipy(num_regressed: int, num_improved: int):
    num_flips = num_regressed + num_improved
    expected = binomtest(num_regressed, num_flips).pvalue if num_flips else 1.0
    assert mcnemar_exact(num_regressed, num_improved) == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
def test_ten_thousand_resamples_of_twelve_thousand_items_take_about_a_second():
    """Measured 0.6 s on one core; the limit leaves room for a busy machine."""
    rng = np.random.default_rng(0)
    baseline, candidate = rng.random(12_000), rng.random(12_000)
    started = time.perf_counter()
    paired_bootstrap(baseline, candidate)
    assert time.perf_counter() - started < 5.0

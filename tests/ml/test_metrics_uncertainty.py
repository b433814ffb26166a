"""Intervals against scipy, sacrebleu and naive loops; coverage is `python -m bench coverage`."""

import math
import random
import time

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from scipy import stats

from pipeline.contracts.estimates import FEW_UNITS, Estimate, PairedFigure
from pipeline.contracts.samples import MEASURES, Measure
from pipeline.errors import DataError, EvaluationError
from pipeline.metrics.paired import compare_paired, pair_by_id, summarize_items
from pipeline.metrics.text_overlap import score_samples
from pipeline.metrics.uncertainty import (
    Strata,
    cluster_sums,
    jackknifed,
    mcnemar_exact,
    ratio_interval,
    skew_corrected_interval,
    student_interval,
    unit_numbers,
    unit_sums,
)

BY_KEY = {measure.key: measure for measure in MEASURES}


def _score(direction: str = "higher") -> Measure:
    return Measure(
        key="score",
        task="general_ability",
        column="score",
        type="float64",
        direction=direction,
        unit="percent",
        aggregation="mean",
    )


def compared(baseline, candidate, *, direction: str = "higher", **options) -> PairedFigure:
    """One mean, compared alone."""
    measures = [_score(direction)]
    return compare_paired(measures, {"score": baseline}, {"score": candidate}, **options)["score"]


def paired_by_id(baseline: dict[str, float], candidate: dict[str, float], **options):
    """One mean of two results joined by item id."""
    shared, num_missing = pair_by_id(baseline, candidate)
    sides = ([side[item] for item in shared] for side in (baseline, candidate))
    return compared(*sides, num_missing=num_missing, **options)


def summary(scores, **options) -> Estimate:
    """One mean alone."""
    return summarize_items([_score()], {"score": scores}, **options)["score"]


def _bounds(estimate: Estimate) -> tuple[float, float]:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.high


@pytest.mark.parametrize("n", [2, 7, 30, 400])
@pytest.mark.parametrize("level", [0.95, 0.999])
def test_differences_of_single_items_are_those_of_the_paired_t_test(n: int, level: float):
    rng = np.random.default_rng(n)
    baseline, candidate = rng.random(n), rng.random(n)
    figure = compared(baseline, candidate, level=level)
    expected = stats.ttest_rel(candidate, baseline)
    interval = expected.confidence_interval(level)
    assert _bounds(figure.difference) == pytest.approx((interval.low, interval.high))
    assert (figure.difference.n, figure.difference.num_units) == (n, n)
    assert figure.difference.method == "student_jackknife"
    assert figure.difference.has_few_units is (n < FEW_UNITS)


def test_the_mean_of_strata_is_that_of_welch():
    """The mean of two categories, every category the same weight, as scipy compares two samples."""
    rng = np.random.default_rng(3)
    first, second = rng.normal(0.3, 0.1, 9), rng.normal(0.5, 0.4, 25)
    left_out = np.concatenate(
        [
            ((part.sum() - part) / (len(part) - 1) + other.mean()) / 2
            for part, other in ((first, second), (second, first))
        ]
    )
    figure = jackknifed(
        (first.mean() + second.mean()) / 2, left_out, Strata.of_sizes(np.array([9, 25]))
    )
    expected = stats.ttest_ind(first, -second, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert figure.degrees == pytest.approx(expected.df)
    found = student_interval(figure, 0.95)
    assert found == pytest.approx((interval.low / 2, interval.high / 2))


def test_clusters_of_one_size_are_compared_by_their_means():
    rng = np.random.default_rng(0)
    gains = rng.normal(0.02, 0.1, (40, 10)) + rng.normal(0, 0.1, (40, 1))
    gains = np.vstack([gains, 0.04 - gains])  # symmetric: no skewness to lean to
    baseline = rng.random(800)
    names = [f"passage-{index // 10}" for index in range(800)]
    figure = compared(baseline, baseline + gains.ravel(), clusters=names)
    expected = stats.ttest_1samp(gains.mean(axis=1), 0.0)
    interval = expected.confidence_interval(0.95)
    assert _bounds(figure.difference) == pytest.approx((interval.low, interval.high))
    assert (figure.n, figure.num_units, figure.difference.resampled) == (800, 80, "cluster")


def test_clusters_of_unequal_size_are_left_out_one_by_one():
    """The mean is over the items that stay, not over means of clusters."""
    rng = np.random.default_rng(1)
    baseline, candidate = rng.random(60), rng.random(60)
    clusters = [f"c{number}" for number in rng.integers(0, 12, 60)]
    baseline, candidate = np.hstack([baseline, 1 - baseline]), np.hstack([candidate, 1 - candidate])
    clusters += [f"d{name}" for name in clusters]  # mirrored: no skewness to lean to
    without = [
        (candidate - baseline)[[name != left for name in clusters]].mean()
        for left in sorted(set(clusters))
    ]
    num = len(without)
    error = math.sqrt((num - 1) / num * np.sum((np.array(without) - np.mean(without)) ** 2))
    half_width = stats.t.ppf(0.975, num - 1) * error
    difference = compared(baseline, candidate, clusters=clusters).difference
    assert difference.high - difference.value == pytest.approx(half_width)
    assert difference.value == pytest.approx((candidate - baseline).mean())


def test_ratios_are_those_that_a_t_test_does_not_exclude():
    """Fieller's interval, end by end: candidate - r * baseline has a mean of t standard errors."""
    rng = np.random.default_rng(2)
    baseline, candidate = rng.random(25), rng.random(25) * 1.2
    ratio = compared(baseline, candidate).ratio
    assert ratio.method == "fieller_jackknife"
    for end in _bounds(ratio):
        assert stats.ttest_rel(candidate, end * baseline).pvalue == pytest.approx(0.05, rel=1e-6)


def test_a_ratio_to_what_may_be_nothing_has_no_interval():
    zero = compared([0.0] * 8, [0.0] * 4 + [1.0] * 4)
    assert zero.ratio is None
    assert zero.difference.interval is not None
    rare = compared([1.0] + [0.0] * 9, [1.0] * 10)
    assert rare.ratio.value == pytest.approx(10.0)
    assert rare.ratio.interval is None
    noise = jackknifed(0.1, np.array([0.0, 0.3, -0.2, 0.4]))
    assert ratio_interval(noise, noise, 0.95) is None


def test_one_unit_has_no_interval():
    figure = compared([0.5, 0.6], [0.7, 0.7], clusters=["a", "a"])
    assert figure.difference.value == pytest.approx(0.15)
    assert (figure.difference.interval, figure.ratio.interval) == (None, None)
    assert (figure.n, figure.num_units) == (2, 1)
    assert summary([0.5, 0.6], clusters=["a", "a"]).interval is None
    assert summary([1.0, 1.0], clusters=["a", "a"]).interval is None


@pytest.mark.parametrize("gain", [0.0, 0.1])
def test_no_interval_is_without_width(gain: float):
    """Fifty equal gains exclude a rate of exceptions above -log(.025) / 50, not all of them."""
    baseline = np.random.default_rng(0).random(50)
    figure = compared(baseline, baseline + gain)
    low, high = _bounds(figure.difference)
    unseen = -math.log(0.025) / 50
    assert (gain - low, high - gain) == pytest.approx((unseen * (1 + gain), unseen * (1 - gain)))
    assert figure.difference.method == "rare_changes"
    tokens = BY_KEY["num_answer_tokens"]
    columns = [{tokens.column: np.full(30, length)} for length in (7, 9)]
    longer = compare_paired([tokens], *columns)[tokens.key]
    assert (longer.difference.value, longer.difference.interval) == (2.0, None)


def test_a_single_flip_does_not_exclude_what_it_cannot():
    """One of 200 lost, none won: the ratio may as well be above 1."""
    baseline = np.repeat([1.0, 0.0], [120, 80])
    candidate = baseline.copy()
    candidate[0] = 0.0
    figure = compared(baseline, candidate)
    assert figure.ratio.low < 0.97
    assert figure.ratio.high > 1.01


@pytest.mark.parametrize(
    ("lost", "won"), [(4, 0), (6, 0), (1, 9), (30, 12), (30, 15), (40, 30), (60, 30)]
)
def test_flips_exclude_no_difference_where_the_exact_test_does(lost: int, won: int):
    baseline = np.repeat([1.0, 0.0], [500, 500])
    candidate = baseline.copy()
    candidate[:lost], candidate[500 : 500 + won] = 0.0, 1.0
    low, high = _bounds(compared(baseline, candidate).difference)
    assert (low > 0 or high < 0) is (mcnemar_exact(lost, won) < 0.05)


def test_skewed_scores_get_an_interval_that_leans_to_their_tail():
    rng = np.random.default_rng(4)
    scores = rng.beta(1, 8, 40)
    found = summary(scores)
    plain = stats.ttest_1samp(scores, 0.0).confidence_interval(0.95)
    assert found.method == "skew_corrected_jackknife"
    assert found.low > plain.low
    assert found.high > plain.high
    mirrored = summary(1 - scores)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((found.low, found.high))
    symmetric = np.linspace(0.2, 0.8, 30)
    interval = stats.ttest_1samp(symmetric, 0.0).confidence_interval(0.95)
    assert _bounds(summary(symmetric)) == pytest.approx((interval.low, interval.high))


def test_the_skewness_correction_inverts_its_cubic():
    """Hall 1992: g(T) = T + aT^2/3 + a^2T^3/27 + a/6 is student's t at both ends."""
    influence = np.repeat([1.0, -0.25], [20, 80]) * 0.01
    figure = jackknifed(0.0, -influence)
    low, high = skew_corrected_interval(figure, 0.95)
    z = figure.influence / math.sqrt(figure.variance / 100)
    skewness = float(np.mean(z**3))
    noise = np.mean((z**3 - 3 * z - skewness - 1.5 * skewness * (z**2 - 1)) ** 2) / 100
    slope = skewness * (1 - 4 * noise / skewness**2) / 10
    assert slope > 0.01
    for end, expected in ((low, 1), (high, -1)):
        t = -end / math.sqrt(figure.variance)
        transformed = t + slope * t**2 / 3 + slope**2 * t**3 / 27 + slope / 6
        assert transformed == pytest.approx(expected * stats.t.ppf(0.975, 99), rel=1e-6)


def test_right_or_wrong_scores_have_the_exact_interval():
    scores = np.repeat([1.0, 0.0], [27, 13])
    expected = stats.binomtest(27, 40).proportion_ci(method="exact")
    found = summary(scores)
    assert found.method == "clopper_pearson"
    assert _bounds(found) == pytest.approx((expected.low, expected.high))
    assert summary(np.ones(40)).low == pytest.approx(0.025 ** (1 / 40))
    copies = summary(np.repeat(scores, 5), clusters=[f"c{index // 5}" for index in range(200)])
    assert copies.low < found.low
    assert copies.low == pytest.approx(found.low, abs=0.02)


def _texts(num_samples: int, seed: int) -> tuple[list[str], list[str], list[str]]:
    rng = random.Random(seed)
    words = [*"国企改革资产监管深化提升", "board", "2023"]
    references = ["".join(rng.choices(words, k=rng.randint(6, 15))) for _ in range(num_samples)]
    worse, better = (
        ["".join(c if rng.random() > rate else "x" for c in text) for text in references]
        for rate in (0.3, 0.15)
    )
    return references, worse, better


def _statistics(texts: list[str], references: list[str]) -> list[tuple[int, ...]]:
    return [sample.bleu_statistics for sample in score_samples(texts, references)]


def test_bleu_is_left_out_as_sacrebleu_scores_the_texts_that_stay():
    references, worse, better = _texts(12, seed=1)
    columns = [{"bleu_statistics": _statistics(texts, references)} for texts in (worse, better)]
    figure = compare_paired([BY_KEY["bleu4"]], *columns)["bleu4"]
    metric = BLEU(tokenize="zh")

    def score(texts: list[str], rows: list[int]) -> float:
        kept = [[references[row] for row in rows]]
        return metric.corpus_score([texts[row] for row in rows], kept).score

    every = list(range(12))
    without = np.array(
        [
            [score(texts, [row for row in every if row != left]) for texts in (worse, better)]
            for left in every
        ]
    )
    assert figure.baseline == pytest.approx(score(worse, every), abs=1e-9)
    assert figure.candidate == pytest.approx(score(better, every), abs=1e-9)
    differences = without[:, 1] - without[:, 0]
    error = math.sqrt(11 / 12 * np.sum((differences - differences.mean()) ** 2))
    half_width = stats.t.ppf(0.975, 11) * error
    assert figure.difference.high - figure.difference.value == pytest.approx(half_width)
    alone = summarize_items([BY_KEY["bleu4"]], columns[0])["bleu4"]
    logarithms = np.log(without[:, 0])
    error = math.sqrt(11 / 12 * np.sum((logarithms - logarithms.mean()) ** 2))
    assert math.log(alone.high / alone.low) >= 2 * stats.t.ppf(0.975, 11) * error - 1e-9


@pytest.mark.slow
def test_bleu_of_many_texts_is_as_sure_as_the_bootstrap_of_sacrebleu_says():
    references, worse, better = _texts(150, seed=2)
    columns = [{"bleu_statistics": _statistics(texts, references)} for texts in (worse, better)]
    measure = BY_KEY["bleu4"]
    metric = BLEU(tokenize="zh", references=[references])
    for texts, side in zip((worse, better), columns, strict=True):
        theirs = metric.corpus_score(texts, None, n_bootstrap=1000)
        ours = summarize_items([measure], side)["bleu4"]
        assert ours.value == pytest.approx(theirs.score)
        assert (ours.high - ours.low) / 2 == pytest.approx(theirs._ci, rel=0.15)
    resampled = np.array(
        [
            [
                metric.corpus_score(
                    [texts[row] for row in draw], [[references[row] for row in draw]]
                ).score
                for texts in (worse, better)
            ]
            for draw in np.random.default_rng(0).integers(0, 150, (60, 150))
        ]
    )
    figure = compare_paired([measure], *columns)["bleu4"]
    error = (figure.difference.high - figure.difference.low) / 2 / 1.976
    assert error == pytest.approx(np.std(resampled[:, 1] - resampled[:, 0]), rel=0.25)


def test_answers_that_hardly_differ_leave_bleu_room_for_those_that_would():
    references, worse, _ = _texts(80, seed=3)
    changed = [references[0], *worse[1:]]
    sides = [
        {"bleu_statistics": _statistics(texts, references)} for texts in (worse, worse, changed)
    ]
    measure = BY_KEY["bleu4"]
    same = compare_paired([measure], *sides[:2])["bleu4"]
    unseen = 100 * -math.log(0.025) / 80
    assert _bounds(same.difference) == pytest.approx((-unseen, unseen))
    one = compare_paired([measure], sides[0], sides[2])["bleu4"]
    assert one.difference.value > 0
    assert one.difference.low < -unseen / 2
    nothing = summarize_items([measure], {"bleu_statistics": [[5, 5, 0, 0, 0, 0, 5, 4, 3, 2]] * 40})
    assert (nothing["bleu4"].value, nothing["bleu4"].low) == (0.0, 0.0)
    assert nothing["bleu4"].high == pytest.approx(100 * -math.log(0.025) / 40)


def test_compare_paired_joins_by_id_and_counts_every_item():
    baseline = {"a": 0.5, "b": 0.5, "c": 0.5, "d": 0.5, "only-baseline": 0.0}
    candidate = {"d": 0.4, "c": 0.5, "b": 0.9, "a": 0.8, "only-candidate": 1.0, "another": 1.0}
    comparison = paired_by_id(baseline, candidate)
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
    assert paired_by_id(baseline, candidate) == paired_by_id(reversed_baseline, candidate)


def test_compare_paired_knows_scores_where_lower_is_better():
    comparison = paired_by_id(
        {"a": 1.0, "b": 1.0, "c": 1.0},
        {"a": 0.9, "b": 0.8, "c": 1.6},
        direction="lower",
    )
    assert (comparison.improved, comparison.regressed) == (2, 1)
    assert comparison.difference.value == pytest.approx(0.1)


def test_measures_compared_together_are_those_compared_alone():
    """Means and corpus BLEU in one pass: bit for bit what each would be by itself."""
    references, worse, better = _texts(30, seed=4)
    sides = []
    for texts in (worse, better):
        samples = [sample.columns() for sample in score_samples(texts, references)]
        sides.append({name: [sample[name] for sample in samples] for name in samples[0]})
    measures = [BY_KEY[key] for key in ("rouge1", "rougeL", "bleu4", "num_answer_tokens")]
    clusters = [f"document-{index // 3}" for index in range(30)]
    together = compare_paired(measures, *sides, clusters=clusters)
    for measure in measures:
        alone = compare_paired([measure], *sides, clusters=clusters)
        assert together[measure.key] == alone[measure.key]
    assert together["bleu4"].improved is None
    summaries = summarize_items(measures, sides[1], clusters=clusters)
    assert summaries["bleu4"].value == together["bleu4"].candidate
    assert (summaries["rouge1"].n, summaries["rouge1"].num_units) == (30, 10)
    assert compare_paired([], *sides) == summarize_items([], sides[0]) == {}


def test_units_are_numbered_by_cluster_and_summed():
    columns = np.arange(10.0).reshape(5, 2)
    units = unit_numbers(["b", "a", "b", "c", "a"], 5)
    assert units.tolist() == [1, 0, 1, 2, 0]
    assert unit_sums(columns, units).tolist() == [[10, 12], [4, 6], [6, 7]]
    assert cluster_sums(columns, ["b", "a", "b", "c", "a"]).tolist() == [[10, 12], [4, 6], [6, 7]]
    assert cluster_sums(columns, None).tolist() == columns.tolist()
    assert unit_sums(columns, np.array([4, 3, 2, 1, 0])).tolist() == columns[::-1].tolist()


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(EvaluationError, match="none of the baseline's 1 items"):
        pair_by_id({"a": 1.0}, {"b": 1.0})
    with pytest.raises(EvaluationError, match="2 baseline scores for 1 candidate"):
        compared([0.1, 0.2], [0.1])
    with pytest.raises(EvaluationError, match="5 clusters for 6 items"):
        compared([0.5] * 6, [0.5] * 6, clusters=["a"] * 5)
    with pytest.raises(DataError, match=r"item 1 are .*nan.* not finite") as caught:
        compared([0.1, 0.2], [0.1, math.nan])
    assert caught.value.code == "data.row_invalid"
    with pytest.raises(DataError) as caught:
        compared([], [])
    assert caught.value.code == "data.empty"


@pytest.mark.parametrize("num_regressed", [0, 1, 3, 10, 57, 400])
@pytest.mark.parametrize("num_improved", [0, 2, 10, 44, 403])
def test_mcnemar_equals_scipy(num_regressed: int, num_improved: int):
    num_flips = num_regressed + num_improved
    expected = stats.binomtest(num_regressed, num_flips).pvalue if num_flips else 1.0
    assert mcnemar_exact(num_regressed, num_improved) == pytest.approx(expected, rel=1e-9)


def test_twelve_thousand_items_take_far_less_than_a_second():
    """Measured 0.01 s on one core, where 10,000 bootstrap draws took 0.6 s."""
    rng = np.random.default_rng(0)
    baseline, candidate = rng.random(12_000), rng.random(12_000)
    started = time.perf_counter()
    compared(baseline, candidate)
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize(
    ("value", "low", "high", "n", "needed"),
    [
        (2.0, -1.0, 5.0, 32, 72),  # 32 * (3 / 2)^2
        (-0.5, -1.5, 1.0, 100, 900),  # towards 0 it reaches 1.5: 100 * 3^2
        (2.0, 0.0, 4.0, 50, 50),
        (2.0, 0.5, 3.5, 32, None),
        (-2.0, -3.0, -1.0, 32, None),
        (0.0, -1.0, 1.0, 32, None),
        (1.0, None, None, 1, None),
    ],
)
def test_items_that_would_settle_a_difference_by_hand(value, low, high, n, needed) -> None:
    level = None if low is None else 0.95
    difference = Estimate(value=value, low=low, high=high, level=level, n=n, num_units=n)
    figure = PairedFigure(
        baseline=0.0, candidate=value, difference=difference, ratio=None,
        improved=None, regressed=None, tied=None, missing=0,
    )  # fmt: skip
    assert figure.items_needed == needed


def test_so_many_items_of_the_same_mix_do_settle_a_difference() -> None:
    """The same scores over and over: at the number said the interval leaves 0, below it not."""
    rng = np.random.default_rng(3)
    before, gains = rng.uniform(0.2, 0.6, 40), rng.normal(0.01, 0.1, 40)
    gains += 0.012 - gains.mean()
    needed = compared(before, before + gains).items_needed
    assert needed is not None
    for times, is_settled in ((needed // 40 + 4, True), (needed // 40 - 4, False)):
        figure = compared(np.tile(before, times), np.tile(before + gains, times))
        assert (figure.difference.low > 0.0) is is_settled
        assert (figure.items_needed is None) is is_settled


@pytest.mark.parametrize("seed", range(20))
def test_a_ratio_of_scores_that_cannot_be_negative_is_never_said_to_be(seed: int) -> None:
    rng = np.random.default_rng(seed)
    baseline = rng.uniform(0.5, 1.0, 8)
    candidate = np.where(rng.random(8) < 0.3, rng.uniform(0.0, 5.0, 8), 0.0)
    pair = compared(baseline, candidate)
    assert pair.ratio is not None
    assert pair.ratio.low is None or 0.0 <= pair.ratio.low <= pair.ratio.value

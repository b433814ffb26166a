"""p values of paired differences: brute force, McNemar, scipy, and the rate under no difference."""

import itertools
import random

import numpy as np
import pytest
from scipy.stats import binomtest, permutation_test

from pipeline.contracts.samples import MEASURES
from pipeline.errors import EvaluationError
from pipeline.metrics.corpus_bleu import corpus_bleu_from_statistics
from pipeline.metrics.paired_tests import paired_p_values, sign_flip_exact
from pipeline.metrics.text_overlap import score_samples

BY_KEY = {measure.key: measure for measure in MEASURES}


def p_of(key, baseline, candidate, **options):
    column = BY_KEY[key].column
    sides = {column: np.asarray(baseline)}, {column: np.asarray(candidate)}
    return paired_p_values([BY_KEY[key]], *sides, **options)[key]


def by_hand(differences):
    """Every assignment of signs, one by one."""
    observed = abs(sum(differences))
    sums = [
        abs(sum(sign * one for sign, one in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    return sum(one >= observed - 1e-9 for one in sums) / len(sums)


def test_four_losses_and_no_win_are_p_one_eighth() -> None:
    """The case that the compare page called WORSE."""
    baseline, candidate = [True] * 4 + [False] * 60, [False] * 64
    assert p_of("is_correct", baseline, candidate) == 0.125


@pytest.mark.parametrize("wins", [0, 1, 7, 40])
@pytest.mark.parametrize("losses", [0, 3, 8, 55])
def test_flips_of_single_items_are_mcnemars_test(wins: int, losses: int) -> None:
    baseline = [False] * wins + [True] * losses + [True, False] * 10
    candidate = [True] * wins + [False] * losses + [True, False] * 10
    expected = binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert p_of("is_correct", baseline, candidate) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_clusters_of_flips_equal_every_assignment_of_signs(seed: int) -> None:
    rng = random.Random(seed)
    differences = [rng.randint(-5, 5) for _unit in range(rng.randint(1, 11))]
    assert sign_flip_exact(differences) == pytest.approx(by_hand(differences))


def test_a_collapsing_subject_is_one_observation_not_two_hundred() -> None:
    """200 losses in one of 57 subjects: items alone would be sure of it, clusters are not."""
    clusters = [f"subject-{item // 20}" for item in range(1140)]
    baseline = np.ones(1140, dtype=bool)
    candidate = baseline.copy()
    candidate[:20] = False
    assert p_of("is_correct", baseline, candidate) < 1e-5
    assert p_of("is_correct", baseline, candidate, clusters=clusters) == 1.0


def test_thousands_of_flips_are_quick_and_exact() -> None:
    flips = [1] * 2600 + [-1] * 2400
    assert sign_flip_exact(flips) == pytest.approx(binomtest(2400, 5000).pvalue, rel=1e-9)
    mixed = [*flips, *([3] * 40), *([-7] * 30)]
    assert 0.0 < sign_flip_exact(mixed) < 1.0


@pytest.mark.parametrize("with_clusters", [False, True])
def test_means_of_few_units_equal_brute_force(with_clusters: bool) -> None:
    rng = np.random.default_rng(3)
    baseline, candidate = rng.random(24), rng.random(24) + 0.1
    clusters = [f"d{item // 3}" for item in range(24)] if with_clusters else None
    if not with_clusters:
        baseline, candidate = baseline[:9], candidate[:9]
    found = p_of("rouge1", baseline, candidate, clusters=clusters)
    units = (candidate - baseline).reshape(-1, 3 if with_clusters else 1).sum(axis=1)
    assert found == pytest.approx(by_hand(units.tolist()))


def test_drawn_swaps_agree_with_scipy() -> None:
    rng = np.random.default_rng(8)
    baseline = rng.random(60)
    candidate = baseline + rng.normal(0.03, 0.1, size=60)
    expected = permutation_test(
        (baseline, candidate),
        lambda first, second, axis: np.mean(second - first, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    ).pvalue
    assert p_of("rouge1", baseline, candidate) == pytest.approx(expected, abs=0.015)


def test_drawn_swaps_never_make_a_p_value_too_small() -> None:
    """None of 99 draws is as large as what was seen, which is itself one of 100."""
    assert p_of("rouge1", np.zeros(40), np.full(40, 50.0), num_swaps=99) == 0.01


def _bleu_statistics(texts, references):
    return np.array([one.bleu_statistics for one in score_samples(texts, references)])


def test_corpus_bleu_equals_every_swap_of_texts() -> None:
    rng = random.Random(2)
    words = list("国企改革资产监管深化提升董事会")
    references = ["".join(rng.choices(words, k=12)) for _text in range(8)]
    worse, better = (
        ["".join(c if rng.random() > rate else "x" for c in text) for text in references]
        for rate in (0.4, 0.2)
    )
    before, after = (_bleu_statistics(texts, references) for texts in (worse, better))

    def difference(swaps):
        mask = np.array(swaps, dtype=bool)[:, None]
        sides = np.where(mask, after, before), np.where(mask, before, after)
        scores = [float(corpus_bleu_from_statistics(side.sum(axis=0))) for side in sides]
        return abs(scores[1] - scores[0])

    observed = difference([0] * 8)
    found = [difference(swaps) for swaps in itertools.product((0, 1), repeat=8)]
    expected = sum(one >= observed - 1e-9 for one in found) / 256
    assert p_of("bleu4", before, after) == pytest.approx(expected)


def test_identical_arms_have_p_one_in_every_measure() -> None:
    scores = np.random.default_rng(0).random(40)
    assert p_of("rouge1", scores, scores) == 1.0
    assert p_of("is_correct", scores > 0.5, scores > 0.5) == 1.0


def test_measures_tested_together_are_those_tested_alone() -> None:
    rng = np.random.default_rng(4)
    sides = [
        {"rouge1": rng.random(30), "rougeL": rng.random(30), "cut_at_cap": rng.random(30) > 0.5}
        for _side in range(2)
    ]
    measures = [BY_KEY[key] for key in ("rougeL", "cut_at_cap", "rouge1")]
    together = paired_p_values(measures, *sides, num_swaps=500)
    assert list(together) == ["rougeL", "cut_at_cap", "rouge1"]
    for measure in measures:
        assert paired_p_values([measure], *sides, num_swaps=500)[measure.key] == pytest.approx(
            together[measure.key]
        )


def test_no_difference_is_found_as_seldom_as_it_should_be() -> None:
    """Clusters whose items move together: 600 draws at 5% have a standard error of 0.9 points."""
    rng = np.random.default_rng(12)
    clusters = [f"passage-{item // 5}" for item in range(100)]
    found = 0
    for seed in range(600):
        shared = np.repeat(rng.normal(0, 0.1, size=20), 5)
        baseline = rng.random(100)
        candidate = baseline + shared + rng.normal(0, 0.02, size=100)
        p = p_of("rouge1", baseline, candidate, clusters=clusters, num_swaps=199, seed=seed)
        found += p <= 0.05
    assert 0.023 < found / 600 < 0.077


def test_clusters_must_fit_the_items() -> None:
    with pytest.raises(EvaluationError, match="1 clusters for 2 items"):
        p_of("rouge1", [0.1, 0.2], [0.3, 0.1], clusters=["a"])

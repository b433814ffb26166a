"""Figures that the platform computes from samples are those of `pipeline.metrics`."""

import numpy as np
import pytest
from django.utils import translation

from pipeline.contracts.samples import MEASURES
from pipeline.evaluation.overlap_comparison import compare_overlap
from pipeline.evaluation.samples import read_samples
from pipeline.metrics.corpus_bleu import corpus_bleu_from_statistics
from pipeline.metrics.paired import summarize_items
from studio.accounts.models import Role
from studio.evaluations import stored_figures
from studio.evaluations.models import PairComparison, ResultSummary
from studio.evaluations.results import evaluation_of
from studio.evaluations.stored_figures import pair_figures, summaries
from studio.measures.documents import Documents
from studio.measures.resampling import compare_results, summarize_result
from studio.measures.score_tables import load_scores
from tests.web import result_factory as results

UNSEEN = ("t1-d01-zh", "t1-d05-zh", "t2-d01-zh")


@pytest.fixture
def evaluate(factories, settings, tmp_path):
    """`evaluate(name, answered=..., chosen=...)` makes a finished evaluation."""
    settings.STUDIO_DATA_DIR = tmp_path
    project = factories.make_project()
    user = factories.make_user("engineer", project=project, role=Role.ENGINEER)

    def make(name, **options):
        return evaluation_of(results.make_evaluation(project, user, name=name, **options))

    return make


@pytest.fixture
def pair(evaluate):
    """Baseline and candidate; the candidate lacks four questions and has one of its own."""
    items = results.domain_items("zh", 30)
    baseline = evaluate(
        "baseline",
        answered=results.answers(items[:29], quality=0.4, seed=1, unseen=UNSEEN),
        chosen=results.choices(60, accuracy=0.6, seed=1),
    )
    candidate = evaluate(
        "candidate",
        answered=results.answers(items[4:], quality=0.5, seed=2, unseen=UNSEEN),
        chosen=results.choices(60, accuracy=0.5, seed=2),
    )
    return baseline, candidate


def flat(figure):
    """A figure as one level, which `approx` can compare."""
    return _flat(figure.model_dump())


def _flat(figures, prefix=""):
    found = {}
    for name, value in figures.items():
        nested = isinstance(value, dict)
        found |= _flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return found


def rows(evaluation, task="text_overlap"):
    return read_samples(evaluation.samples.path, task)


def test_paired_figures_equal_the_pipelines(pair) -> None:
    figures = compare_results(pair[0].samples, pair[1].samples, Documents.ALL)
    ours = figures.tasks["text_overlap"].measures
    expected = compare_overlap(*(rows(one) for one in pair))
    for name in ("rouge1", "rouge2", "rougeL"):
        assert flat(ours[name]) == pytest.approx(flat(expected[name]))
        assert ours[name].missing == 5
    assert flat(ours["bleu4"]) == pytest.approx(flat(expected["bleu4"]))
    assert ours["bleu4"].missing == 5


@pytest.mark.parametrize("measure", ["is_correct", "probability"])
def test_choices_are_paired_like_answers(pair, measure: str) -> None:
    figures = compare_results(pair[0].samples, pair[1].samples, Documents.ALL)
    scores = [
        {row["item_id"]: float(row[measure]) for row in rows(one, "general_ability")}
        for one in pair
    ]
    expected = results.paired(*scores, measure=measure)
    assert flat(figures.figure("general_ability", measure)) == pytest.approx(flat(expected))


def test_where_lower_is_better_a_rise_is_a_regression(evaluate) -> None:
    items = results.domain_items("zh", 4)
    clean = evaluate("clean", answered=results.answer_samples(items, ["国有资产的监督管理"] * 4))
    looping = evaluate("looping", answered=results.answer_samples(items, ["国有资产" * 6] * 4))
    figures = compare_results(clean.samples, looping.samples, Documents.ALL)
    repetition = figures.figure("text_overlap", "repeated_4gram_rate")
    assert repetition.difference.value > 0
    assert (repetition.improved, repetition.regressed) == (0, 4)


def test_one_result_has_its_own_means_and_intervals(pair) -> None:
    figures = summarize_result(pair[0].samples)
    answered = rows(pair[0])
    reported = pair[0].results.text_overlap
    ours = figures.tasks["text_overlap"][Documents.ALL]
    for name in ("rouge1", "rouge2", "rougeL", "bleu4"):
        assert ours[name].value == pytest.approx(reported.figures[name])
    for documents, group in (
        (Documents.SEEN, reported.documents_seen),
        (Documents.UNSEEN, reported.documents_unseen),
    ):
        bleu = figures.figure("text_overlap", documents, "bleu4")
        assert bleu.value == pytest.approx(group.figures["bleu4"])
        assert bleu.n == group.n
    expected = summarize_items(
        [measure for measure in MEASURES if measure.key == "rougeL"],
        {"rougeL": [row["rougeL"] for row in answered]},
        clusters=[row["cluster"] for row in answered],
    )["rougeL"]
    assert ours["rougeL"].low == pytest.approx(expected.low)
    assert ours["rougeL"].high == pytest.approx(expected.high)
    sums = np.sum([row["bleu_statistics"] for row in answered], axis=0)
    assert ours["bleu4"].value == pytest.approx(float(corpus_bleu_from_statistics(sums)))


def test_documents_kept_out_of_training_are_compared_apart(pair) -> None:
    unseen = compare_results(pair[0].samples, pair[1].samples, Documents.UNSEEN)
    kept = [[row for row in rows(one) if row["cluster"] in UNSEEN] for one in pair]
    assert kept[0]
    expected = compare_overlap(*kept)["rouge1"]
    assert flat(unseen.figure("text_overlap", "rouge1")) == pytest.approx(flat(expected))


def test_an_id_that_means_another_question_is_never_paired(evaluate) -> None:
    items = results.domain_items("zh", 6)
    changed = [items[0] | {"instruction": "另一道题？"}, *items[1:]]
    baseline = evaluate("a", answered=results.answers(items, quality=0.5))
    candidate = evaluate("b", answered=results.answers(changed, quality=0.5))
    pair = compare_results(baseline.samples, candidate.samples, Documents.ALL).tasks["text_overlap"]
    assert (pair.num_paired, pair.num_conflicting) == (5, 1)
    assert pair.measures["rouge1"].missing == 1


def test_nothing_is_bootstrapped_twice(
    pair, monkeypatch, django_assert_num_queries, tmp_path
) -> None:
    first = pair_figures([pair]), summaries(pair)
    assert (PairComparison.objects.count(), ResultSummary.objects.count()) == (1, 2)

    def fail(*args, **kwargs):
        raise AssertionError("computed again")

    monkeypatch.setattr(stored_figures, "compare_results", fail)
    monkeypatch.setattr(stored_figures, "summarize_result", fail)
    with django_assert_num_queries(2):
        again = pair_figures([pair]), summaries(pair)
    assert again == first


def test_large_results_wait_until_they_are_asked_for(pair) -> None:
    key = pair[0].id, pair[1].id
    assert pair_figures([pair], max_items=10)[key].is_pending
    assert PairComparison.objects.count() == 0
    assert not pair_figures([pair], max_items=1000)[key].is_pending
    assert not pair_figures([pair], max_items=10)[key].is_pending


def test_a_lost_or_foreign_file_is_a_reason_not_an_error(pair) -> None:
    pair[0].samples.path.write_bytes(b"not parquet")
    pair[1].samples.path.unlink()
    with translation.override("en"):
        found = summaries(pair)
    assert "holds no samples" in found[pair[0].id].problem
    assert "are gone" in found[pair[1].id].problem
    assert f"runs/{pair[0].id}/attempt-1/samples.parquet" in found[pair[0].id].problem
    assert str(pair[0].samples.path.parents[3]) not in found[pair[0].id].problem


def test_repeated_ids_are_refused(evaluate) -> None:
    items = results.domain_items("zh", 3)
    doubled = evaluate("doubled", answered=results.answers([*items, items[0]], quality=0.5))
    with translation.override("en"):
        found = summaries([doubled])
    assert "have an item id twice" in found[doubled.id].problem


def test_a_result_without_domain_questions_has_choices_only(evaluate) -> None:
    one = evaluate("choices", chosen=results.choices(24, accuracy=0.7))
    assert load_scores(one.samples, "text_overlap").item_ids == ()
    figures = summarize_result(one.samples)
    assert figures.tasks["text_overlap"] == {}
    assert figures.figure("general_ability", Documents.ALL, "is_correct").n == 24

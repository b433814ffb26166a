"""The likelihood of the references and cut answers, on dashboards and in comparisons."""

import re
from dataclasses import replace
from html import unescape

import pytest
from django.urls import reverse

from tests.web import result_factory as results

KEY = "reference_bits_per_byte"
LABEL = "Bits per byte of the reference answers"
OLD = ("reference_bits_per_byte", "num_reference_bytes")


def text_of(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


@pytest.fixture
def shown(client, project):
    """`shown("evaluations:text_overlap", base, cpt)` is the page's text."""

    def get(name, *runs) -> str:
        address = reverse(name, args=[project.slug])
        response = client.get(address, {"run": [run.pk for run in runs]})
        assert response.status_code == 200
        return text_of(response.content.decode())

    return get


@pytest.fixture
def evaluate(project, engineer):
    """`evaluate("cpt", 0.4, baseline=base)` answers with this share of each reference."""

    def measure(name, quality, *, seed=1, is_old=False, **where):
        answered = results.answers(results.domain_items("en", 60), quality=quality, seed=seed)
        if is_old:
            answered = [
                replace(one, scores={key: one.scores[key] for key in one.scores if key not in OLD})
                for one in answered
            ]
        return results.make_evaluation(project, engineer, name=name, answered=answered, **where)

    return measure


def test_the_likelihood_stands_first_with_its_difference_and_margin(shown, evaluate) -> None:
    base = evaluate("base", 0.3)
    run = evaluate("cpt", 0.6, baseline=base, model="2" * 64)
    figure = results.results_of(run).text_overlap_vs_baseline[KEY]
    text = shown("evaluations:text_overlap", base, run)
    low, high = (f"{bound:.4f}".replace("-", "−") for bound in figure.difference.interval[:2])
    assert f"{figure.difference.value:.4f} [{low}, {high}]".replace("-", "−") in text
    assert f"{figure.improved} / {figure.regressed} / {figure.tied}" in text
    assert "margin of 0.0100" in text
    first, second = (
        text.index(title)
        for title in ("How likely each checkpoint finds", "Overlap with the reference answers")
    )
    assert first < second


def test_a_comparison_judges_the_likelihood_with_the_other_measures(shown, evaluate) -> None:
    base = evaluate("base", 0.3)
    text = shown("comparisons:index", base, evaluate("cpt", 0.6, model="2" * 64))
    row = text[text.rindex(LABEL + " lower is better") :]
    assert "▲ better" in row[:600]
    assert "Margin fixed before the runs: 0.0100" in row[:900]


def test_a_result_older_than_the_measure_has_a_dash(shown, evaluate) -> None:
    old = evaluate("old", 0.3, is_old=True)
    run = evaluate("cpt", 0.6, baseline=old, model="2" * 64)
    assert KEY not in results.results_of(run).text_overlap_vs_baseline
    assert "None of these runs measured it" in shown("evaluations:text_overlap", old)
    text = shown("comparisons:index", old, run)
    assert LABEL + " lower is better" in text
    assert "▲ better" not in text[text.rindex(LABEL + " lower is better") :][:200]


def test_what_is_not_decided_says_how_many_questions_it_takes(shown, evaluate) -> None:
    base = evaluate("base", 0.5)
    run = evaluate("cpt", 0.505, seed=2, baseline=base, model="2" * 64)
    figures = results.results_of(run).text_overlap_vs_baseline
    undecided = [one for one in figures.values() if one.items_needed]
    assert undecided
    text = shown("evaluations:text_overlap", base, run)
    assert all(f"{one.items_needed:,}" in text for one in undecided)
    assert "questions would show a difference of this size" in shown("comparisons:index", base, run)


def test_cut_answers_are_said_on_the_dashboard_and_before_a_comparison(shown, evaluate) -> None:
    base, cut = evaluate("base", 0.3), evaluate("cut", 0.97, model="2" * 64)
    share = results.results_of(cut).text_overlap.figures["cut_at_cap"]
    assert share > 0.1
    said = f"{100 * share:.1f}% of 60 answers were cut at 96 tokens"
    text = shown("evaluations:text_overlap", base, cut)
    assert text.count("answers were cut at") == 1
    assert f"cut : {said}" in text
    compared = shown("comparisons:index", base, cut)
    assert f"Answers cut at the token limit : cut {100 * share:.1f}%" in compared
    again = evaluate("again", 0.31, model="3" * 64)
    assert "Answers cut at the token limit : few or none" in shown("comparisons:index", base, again)
    assert "answers were cut at" not in shown("evaluations:text_overlap", base, again)


@pytest.mark.parametrize("cap", [96, 144])
def test_results_with_another_cap_are_not_comparable(shown, evaluate, cap) -> None:
    """One took 144 from its references, whatever its settings say."""
    base, run = evaluate("base", 0.3), evaluate("cpt", 0.6, model="2" * 64)
    run.report["results"]["text_overlap"]["max_new_tokens"] = cap
    run.save()
    text = shown("comparisons:index", base, run)
    assert ("the results are not comparable" in text) is (cap != 96)
    assert ("cpt: 144 tokens" in text) is (cap == 144)

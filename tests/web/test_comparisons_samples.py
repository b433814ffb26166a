"""Samples side by side: outcomes, order, pages, neighbours, and text that is only ever text."""

import re
import time
from html import unescape

import numpy as np
import pytest
from django.urls import reverse

from studio.comparisons.sample_pairs import sample_pairs
from studio.evaluations.results import evaluation_of
from studio.measures.labels import MEASURES
from studio.measures.score_tables import load_scores
from tests.web import result_factory as results

CHIPS = ("All", "A wins", "B wins", "Tie", "Answers differ", "Missing")


@pytest.fixture
def pair(project, engineer):
    """Sixty questions twice: better, worse, tied, with other words, and four missing."""
    items = results.domain_items("zh", 60)
    before = results.answers(items, quality=0.5, seed=1)
    answers = [one.answer for one in before]
    after = [
        answer + "。" if index % 4 == 0 else answer if index % 4 == 1 else "国有资产"
        for index, answer in enumerate(answers)
    ]
    after[2] = items[2]["output"]
    return [
        results.make_evaluation(project, engineer, name=name, answered=answered)
        for name, answered in (
            ("before", before),
            ("after", results.answer_samples(items[:56], after[:56])),
        )
    ]


@pytest.fixture
def show(client, project):
    def get(page, *runs, status=200, **query):
        url = reverse(f"comparisons:{page}", args=[project.slug])
        response = client.get(url, {"run": [run.pk for run in runs]} | query)
        assert response.status_code == status
        return response.content.decode()

    return get


def text_of(html):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def chips(html):
    found = re.findall(r'class="chip"[^>]*>([^<]+) <strong>(\d+)</strong>', html)
    return {label: int(count) for label, count in found}


def listed(html):
    return re.findall(r'<th scope="row"><a href="[^"]+"><code>([^<]+)</code>', html)


def link(html, rel):
    found = re.search(rf'rel="{rel}"[^>]* href="([^"]+)"', html)
    return found and found[1].replace("&amp;", "&")


def test_chips_count_what_the_pipeline_counts(pair, show) -> None:
    html = show("samples", *pair)
    scores = [
        dict(zip(table.item_ids, table.columns["rougeL"], strict=True))
        for table in (load_scores(evaluation_of(run).samples, "text_overlap") for run in pair)
    ]
    expected = results.paired(*scores, measure="rougeL")
    counts = chips(html)
    assert tuple(counts) == CHIPS
    assert (counts["A wins"], counts["B wins"], counts["Tie"], counts["Missing"]) == (
        expected.regressed,
        expected.improved,
        expected.tied,
        expected.missing,
    )
    assert counts["All"] == 60
    # A full stop more is another answer and the same score.
    assert counts["Answers differ"] > counts["A wins"] + counts["B wins"]


@pytest.mark.parametrize(
    ("outcome", "chip"),
    [("a", "A wins"), ("b", "B wins"), ("tie", "Tie"), ("missing", "Missing")],
)
def test_a_chip_leaves_its_items(pair, show, outcome: str, chip: str) -> None:
    html = show("samples", *pair, outcome=outcome)
    assert len(listed(html)) == chips(html)[chip]
    words = set(re.findall(r"(better|worse|tie|missing)</span>", html))
    assert words <= {{"a": "worse", "b": "better"}.get(outcome, outcome)}


def test_largest_or_worst_difference_comes_first_and_missing_items_last(pair) -> None:
    files = [evaluation_of(run).samples for run in pair]
    pairs = sample_pairs(*files, "text_overlap")
    measure = MEASURES["rougeL"]
    gain = dict(zip(pairs.item_ids, pairs.gain(measure), strict=True))
    change = pairs.ordered(measure, outcome="all", sort="change")
    sizes = [abs(gain[item]) for item in change if not np.isnan(gain[item])]
    assert sizes == sorted(sizes, reverse=True)
    regressions = pairs.ordered(measure, outcome="all", sort="regressions")
    ordered = [gain[item] for item in regressions if not np.isnan(gain[item])]
    assert ordered == sorted(ordered)
    for order in (change, regressions):
        assert all(np.isnan(gain[item]) for item in order[-4:])
    assert list(pairs.ordered(measure, outcome="all", sort="item")) == list(pairs.item_ids)


def test_of_two_equal_differences_the_regression_comes_first(project, engineer) -> None:
    items = results.domain_items("zh", 2)
    empty_first = ["", items[1]["output"]]
    empty_second = [items[0]["output"], ""]
    runs = [
        results.make_evaluation(
            project, engineer, name="x", answered=results.answer_samples(items, answers)
        )
        for answers in (empty_first, empty_second)
    ]
    pairs = sample_pairs(*(evaluation_of(run).samples for run in runs), "text_overlap")
    order = pairs.ordered(MEASURES["rougeL"], outcome="all", sort="change")
    assert list(order) == [items[1]["id"], items[0]["id"]]


def test_pages_follow_each_other_without_gap_or_repeat(pair, show, client) -> None:
    first = show("samples", *pair)
    second = client.get(reverse("comparisons:samples", args=["alpha"]) + link(first, "next"))
    second = second.content.decode()
    assert (len(listed(first)), len(listed(second))) == (50, 10)
    assert len(set(listed(first) + listed(second))) == 60
    back = client.get(reverse("comparisons:samples", args=["alpha"]) + link(second, "prev"))
    assert listed(back.content.decode()) == listed(first)


@pytest.mark.slow
def test_neighbours_stay_inside_the_filter_and_its_order(pair, show, client) -> None:
    ordered = listed(show("samples", *pair, outcome="tie"))
    html = show("sample", *pair, outcome="tie", item=ordered[0])
    assert link(html, "prev") is None
    seen = [ordered[0]]
    while (url := link(html, "next")) is not None:
        html = client.get(url).content.decode()
        seen.append(re.search(r'id="item-title"><code>([^<]+)', html)[1])
    assert seen == ordered
    outside = show("sample", *pair, outcome="a", item=ordered[0])
    assert "not in the filtered list" in outside


def test_one_sample_shows_every_answer_and_marks_what_to_compare(pair, show) -> None:
    html = show("sample", *pair, item="t1-q01-zh")
    assert html.count('data-diff-from="answer-A"') == 1
    assert 'id="answer-A"' in html
    against = show("sample", *pair, item="t1-q01-zh", diff="reference")
    assert against.count('data-diff-from="reference"') == 2
    assert "data-diff-from" not in show("sample", *pair, item="t1-q01-zh", diff="off")
    assert html.count('lang="zh-Hans"') >= 4


def test_a_missing_answer_is_said(pair, show) -> None:
    item = results.domain_items("zh", 60)[58]["id"]
    assert "this evaluation has no such item" in show("sample", *pair, item=item)


def test_an_unknown_item_is_not_found(pair, show) -> None:
    show("sample", *pair, item="nobody", status=404)


def test_a_question_of_general_ability_shows_picks(project, engineer, show) -> None:
    runs = [
        results.make_evaluation(
            project,
            engineer,
            name=f"e{seed}",
            chosen=results.choices(40, accuracy=accuracy, seed=seed),
        )
        for seed, accuracy in ((1, 0.9), (2, 0.1))
    ]
    lost = listed(show("samples", *runs, metric="is_correct", outcome="a"))
    text = text_of(show("sample", *runs, metric="is_correct", item=lost[0]))
    assert re.search(r"选项[甲乙丙丁] right picked", text)
    assert re.search(r"选项[甲乙丙丁] picked", text)
    assert "Word differences" not in text


def test_filters_that_leave_nothing_say_so(pair, show) -> None:
    html = show("samples", pair[0], pair[0], outcome="missing")
    assert "Choose at least one more" in html
    html = show("samples", *reversed(pair), outcome="b", category="summarization")
    if not listed(html):
        assert "0 of 60 items match" in html
        assert "Clear the filters" in html


def test_model_output_is_never_markup(project, engineer, show) -> None:
    items = results.domain_items("zh", 2)
    items[0] |= {"id": 'id"><script>alert(2)</script>', "instruction": results.HOSTILE}
    runs = [
        results.make_evaluation(
            project,
            engineer,
            name=results.HOSTILE[:60],
            answered=results.answer_samples(items, [results.HOSTILE + suffix, suffix]),
        )
        for suffix in ("甲", "乙")
    ]
    for page in ("index", "samples", "sample", "parameters"):
        html = show(page, *runs, item=items[0]["id"])
        assert "<script>alert" not in html
        assert "<b onmouseover" not in html
    assert "&lt;script&gt;alert(&quot;x&quot;)" in show("sample", *runs, item=items[0]["id"])


@pytest.mark.slow
def test_twenty_thousand_samples_open_quickly(project, engineer, show) -> None:
    """Time of the server alone; the limit is several times what two free cores need."""
    few = results.domain_items("zh", 8)
    items = [few[index % 8] | {"id": f"q{index:05d}"} for index in range(20_000)]
    runs = [
        results.make_evaluation(
            project,
            engineer,
            name=name,
            answered=results.answer_samples(
                items, [item["output"][: cut + index % 5] for index, item in enumerate(items)]
            ),
        )
        for name, cut in (("before", 30), ("after", 40))
    ]
    assert "data-poll" in show("index", *runs)
    for page, limit in (("samples", 2.0), ("sample", 2.0), ("index", 2.0)):
        show(page, *runs, item="q10000")  # reads the numbers once
        start = time.perf_counter()
        show(page, *runs, item="q10000")
        assert time.perf_counter() - start < limit, page
    first = show("samples", *runs)
    assert chips(first)["All"] == 20_000

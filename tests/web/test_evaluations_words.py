"""One claim, one figure, one interval, one verdict; the harmed category is the worst one."""

import json
import re
from html import unescape

import pytest
from django.urls import reverse
from django.utils import translation

from pipeline.contracts.estimates import Estimate
from pipeline.contracts.evaluation_results import RetentionResults
from pipeline.metrics.retention import RetentionItem, measure_retention
from studio.evaluations.retained import Retained
from studio.evaluations.retention_charts import category_chart
from studio.measures.labels import MEASURES
from studio.measures.numbers import (
    judged_interval,
    measured_interval,
    ratio_estimate,
    sample_size,
)
from studio.measures.plots import Point
from tests.web import result_factory as results


def items(category, n, *, base, new):
    """`n` four-choice questions of which each model gets its share right."""
    right_before = round(base * n)
    right_after = round(new * n)
    return [
        RetentionItem(
            item_id=f"{category}-{index:03d}",
            category=category,
            base=float(index < right_before),
            new=float(index < right_after),
            num_choices=4,
        )
        for index in range(n)
    ]


def retained(*groups) -> Retained:
    retention = measure_retention([item for group in groups for item in group], margin=0.05)
    assert isinstance(retention, RetentionResults)
    return Retained(evaluation=Named(), baseline=None, retention=retention)


@pytest.fixture
def in_english():
    with translation.override("en"):
        yield


class Named:
    """An evaluation as far as a chart names it."""

    label = "cpt"


def text_of(html):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", str(html))).split())


@pytest.mark.usefixtures("in_english")
def test_the_harmed_category_is_the_worst_though_its_ratio_is_undefined() -> None:
    """The base is near chance in law and lost a fifth of its score there; history gained."""
    one = retained(
        items("history", 100, base=0.60, new=0.62), items("law", 100, base=0.30, new=0.10)
    )
    assert one.worst is not None
    assert one.worst.category == "law"
    chart = category_chart(one)
    named = {text_of(row[0]) for row in chart.rows}
    assert named == {"history", "law (worst)"}
    assert "largest loss in score" in chart.note


@pytest.mark.usefixtures("in_english")
def test_no_category_is_worst_where_none_lost() -> None:
    one = retained(items("history", 60, base=0.60, new=0.62), items("law", 60, base=0.50, new=0.50))
    assert one.worst is None
    assert not any("worst" in text_of(row[0]) for row in category_chart(one).rows)


def test_the_lowest_ratio_is_the_worst_while_every_category_has_one() -> None:
    one = retained(
        items("history", 100, base=0.90, new=0.80), items("law", 100, base=0.45, new=0.38)
    )
    assert one.worst is not None
    assert one.worst.category == "law"


@pytest.mark.usefixtures("in_english")
def test_category_intervals_say_their_own_level_and_that_of_all() -> None:
    groups = [items(name, 60, base=0.7, new=0.6) for name in ("art", "history", "law")]
    chart = category_chart(retained(*groups))
    assert "Above chance [98.3% CI]" in chart.columns
    assert "98.3% interval" in chart.note
    assert "all 3 categories hold together at 95%" in chart.note
    assert "n / units drawn" in chart.columns
    assert chart.rows[0][-2] == "60 / 60"


def ratio(*, low, high, num_units=60):
    return Estimate(value=0.97, low=low, high=high, level=0.95, n=60, num_units=num_units)


@pytest.mark.usefixtures("in_english")
@pytest.mark.parametrize(("low", "high"), [(0.91, 1.0), (1.0, 1.0)])
def test_one_flip_gives_no_interval_that_ends_at_one(low: float, high: float) -> None:
    """Draws of 60 questions of which one was lost: 36% of them lost nothing at all."""
    found = ratio(low=low, high=high)
    assert ratio_estimate(found) == "0.970× (no interval: changes do not go both ways)"
    assert Point.of_ratio(found) == Point(value=0.97)
    both = ratio(low=0.91, high=1.004)
    assert ratio_estimate(both) == "0.970× [0.910, 1.004]"
    assert Point.of_ratio(both) == Point.of(both)


@pytest.mark.usefixtures("in_english")
def test_a_judged_ratio_keeps_the_bound_where_its_word_put_it() -> None:
    found = ratio(low=1.0, high=1.2)
    assert judged_interval(found, is_open=True) == "(1.000, 1.200]"
    assert judged_interval(found, is_open=False) == "[1.000, 1.200]"


@pytest.mark.usefixtures("in_english")
def test_few_units_are_marked_in_every_interval() -> None:
    few, enough = (ratio(low=0.9, high=1.1, num_units=units) for units in (19, 20))
    assert ratio_estimate(few) == "0.970× [0.900, 1.100] (few units: 19)"
    assert ratio_estimate(enough) == "0.970× [0.900, 1.100]"
    rouge = MEASURES["rougeL"]
    assert measured_interval(rouge, few) == "[0.90, 1.10] (few units: 19)"
    assert sample_size(few) == "60 / 19"


@pytest.fixture
def published(client, project, engineer):
    runs = results.make_recipe(project, engineer)

    def show(language="en"):
        client.cookies["django_language"] = language
        response = client.get(reverse("published:index", args=[project.slug]))
        assert response.status_code == 200
        return runs, response.content.decode()

    return show


def claim(html, title):
    """The cells of one claim's row."""
    row = next(
        row for row in re.findall(r"<tr>(.*?)</tr>", html, re.S) if text_of(row).startswith(title)
    )
    return [text_of(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)]


def test_the_verdict_stands_beside_the_figure_that_it_judges(published) -> None:
    runs, html = published()
    measured = results.results_of(runs["evaluate_cpt"])
    judged, kept = measured.gauge.judged, measured.retention.accuracy
    cells = claim(html, "General ability kept by CPT")
    assert f"{judged.kl_bits_per_byte.value:.4f} bits per byte" in cells[2]
    assert f"{judged.verdict.value} at a margin of {judged.margin:.3f} bits per byte" in cells[2]
    assert kept.verdict.value not in cells[2].replace(judged.verdict.value, "", 1)
    assert f"{kept.macro.adjusted_ratio.value:.3f}×" not in cells[2]
    assert f"{judged.base_bits_per_byte:.4f} → {measured.gauge.bits_per_byte:.4f}" in cells[3]
    assert cells[4] == "24 texts of 24 passages"
    assert "not the same measure as the published one" in cells[5]
    witness = f"second witness, {kept.micro.num_items} questions in {kept.micro.num_units} units"
    assert witness in cells[5]
    assert f"{kept.verdict.value} at a margin of 5.0%" in cells[5]


def test_training_seeds_are_named_and_their_absence_is_said(published) -> None:
    runs, html = published()
    details = claim(html, "Progressive over single-stage SFT, ROUGE-1")[5]
    assert "sft_single_stage: training seed 0" in details
    assert "sft_progressive: training seed 0" in details
    assert "one training of each: the interval says nothing of other seeds" in details
    assert "seed of the measurement 0" in details
    run = runs["sft_progressive"]
    run.checkpoints.all().delete()
    _runs, html = published()
    assert "training seed not known" in html or "not measured in this plan" in html


def test_overlap_ratios_are_judged_as_one_family(published) -> None:
    _runs, html = published()
    words = [claim(html, title)[2] for title in (
        "CPT over base, ROUGE-1", "CPT over base, BLEU-4",
        "Progressive over single-stage SFT, ROUGE-1", "Progressive over single-stage SFT, BLEU-4",
    )]  # fmt: skip
    assert "4 ratios of text overlap are judged together" in text_of(html)
    for cell in words:
        ratio, low, high = re.search(
            r"([\d.]+)× 98\.75% [\[(]([\d.]+), ([\d.]+)[\])]", cell
        ).groups()
        assert float(low) <= float(ratio) <= float(high)
        if "not decided" in cell:
            assert float(low) <= 1.0 <= float(high)
        elif "better" in cell:
            assert float(low) >= 1.0
        else:
            assert "worse" in cell
            assert float(high) <= 1.0
        assert "equivalent" not in cell


@pytest.mark.parametrize(("language", "word"), [("en", "at a margin of"), ("zh-hans", "容许损失")])
def test_the_paper_page_speaks_both_languages(published, language: str, word: str) -> None:
    _runs, html = published(language)
    assert word in text_of(html)
    figure = re.search(r'<script id="published-figure" [^>]*>(.*?)</script>', html)
    assert json.loads(figure[1])["data"][0]["x"][0] is not None

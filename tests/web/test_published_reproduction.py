"""The page of published scores: what fits a row stands in it, and everything else says why not."""

import json
import re

import pytest
from django.urls import reverse

from pipeline.contracts.evaluation_results import BenchmarkFigure, BenchmarkResults
from pipeline.contracts.published_scores import TABLE, ScoreTable, score_table
from studio.accounts.models import Role
from studio.published import reproductions
from studio.registry.models import Checkpoint
from studio.runs.models import Run
from tests.web import factories
from tests.web.result_factory import HOSTILE, choices, make_evaluation

pytestmark = pytest.mark.django_db
COPY = score_table().models["smollm2_instruct"].copies[0].digest
FIGURES = {
    "full_answer": ("acc", "acc_norm"),
    "number": ("exact_match_strict", "exact_match_flexible", "no_number"),
}


def found(benchmark="PIQA", form="full_answer", share=0.66, n=1838, **changes):
    settings = {
        "benchmark": benchmark, "form": form, "num_few_shot": 0, "chat_template": False, "n": n,
        "chance": 0.5 if form != "number" else None,
        "figures": {
            key: BenchmarkFigure(value=share, standard_error=0.01) for key in FIGURES[form]
        },
        "categories": (), "prompts_sha256": "a" * 64, "harness": "lm-eval 0.4.13",
    }  # fmt: skip
    return BenchmarkResults(**{**settings, **changes})


def evaluated(project, user, *results, model=COPY, name="checked"):
    chosen = choices(4, accuracy=0.5, seed=1)
    run = make_evaluation(project, user, name=name, chosen=chosen, model=model)
    report = run.report
    report["results"]["benchmarks"] = [one.model_dump(mode="json") for one in results]
    Run.objects.filter(pk=run.pk).update(report=report)
    return run


@pytest.fixture
def bare_table(monkeypatch):
    """The shipped table without the scores that were measured for it."""
    document = json.loads(TABLE.read_text())
    for row in document["scores"]:
        row["ours"] = None
        row["not_run"] = row.get("not_run") or {"en": "no time", "zh": "\u6ca1\u65f6\u95f4"}
    table = ScoreTable.parse(json.dumps(document))
    monkeypatch.setattr(reproductions, "score_table", lambda: table)
    return table


def page_of(client, language="en"):
    client.cookies["django_language"] = language
    response = client.get(reverse("published:reproduction", args=["alpha"]))
    assert response.status_code == 200
    return re.sub(r"\s+", " ", response.content.decode())


def rows_of(page):
    """The text of each body of the table, which is a published score with all of ours."""
    return [re.sub(r"<[^>]+>", " ", body) for body in page.split("<tbody>")[1:]]


def test_an_empty_project_reads_what_was_published_and_why_there_is_no_more(
    client, engineer, bare_table
) -> None:
    page = page_of(client)
    rows = rows_of(page)
    assert len(rows) == len(bare_table.scores)
    assert all("not run:" in row for row in rows)
    assert "66.3%" in page
    assert "https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct" in page
    assert "files: AFL-3.0" in page
    chinese = page_of(client, "zh-hans")
    assert len(rows_of(chinese)) == len(rows)
    assert all("\u672a\u8fd0\u884c" in row for row in rows_of(chinese))


def test_the_shipped_table_shows_what_was_measured_for_it(client, engineer) -> None:
    measured = [score.ours for score in score_table().scores if score.ours is not None]
    for language, words in (
        ("en", "measured for this table"),
        ("zh-hans", "\u4e3a\u672c\u8868\u6d4b\u5f97"),
    ):
        assert page_of(client, language).count(words) == len(measured)


def test_an_evaluation_stands_in_the_rows_it_fits(client, project, engineer, bare_table) -> None:
    run = evaluated(
        project,
        engineer,
        found(share=1213 / 1838),
        found("GSM8K", "number", share=4 / 300, n=300, num_few_shot=5),
    )
    page = page_of(client)
    gsm8k, piqa, piqa_hub, flexible = [row for row in rows_of(page) if "checked" in row]
    assert "checked was measured in another setting only: generated numbers" in flexible
    assert "1.3% [0.4, 3.4]" in gsm8k
    assert "\u22120.1 pp [\u22121.0, 2.0]" in gsm8k
    assert "agrees: the published value lies within our interval" in gsm8k
    assert "a subset: 300 of 1319 questions" in gsm8k
    assert "generated numbers \u00b7 5 examples \u00b7 without a chat template" in gsm8k
    assert "66.0% [63.8, 68.2]" in piqa
    assert "all 1838 questions" in piqa
    assert "dequantised" in piqa
    assert "66.92%" in piqa_hub
    assert page.count(reverse("runs:detail", args=["alpha", run.pk])) == 3
    chinese = page_of(client, "zh-hans")
    assert "\u5b50\u96c6" in chinese
    assert "\u4e00\u81f4" in chinese


@pytest.mark.parametrize(("share", "word"), [(0.60, "ours is lower"), (0.72, "ours is higher")])
def test_what_lies_outside_differs(client, project, engineer, bare_table, share, word) -> None:
    evaluated(project, engineer, found(share=share))
    rows = [row for row in rows_of(page_of(client)) if "checked" in row]
    assert [f"differs: {word}" in row for row in rows] == [True, True]


@pytest.mark.parametrize(
    "changes", [{"num_few_shot": 3}, {"benchmark": "HellaSwag", "num_few_shot": 2}]
)
def test_another_setting_is_no_reproduction(client, project, engineer, bare_table, changes) -> None:
    evaluated(project, engineer, found(**changes))
    page = page_of(client)
    assert "agrees" not in "".join(rows_of(page))
    assert "checked was measured in another setting only: full answers" in page


def test_another_model_or_test_is_none_of_the_rows(client, project, engineer, bare_table) -> None:
    evaluated(project, engineer, found(), model="f" * 64)
    evaluated(project, engineer, found(benchmark="C-Eval"))
    assert not [row for row in rows_of(page_of(client)) if "checked" in row]


def test_a_model_is_known_by_its_name_and_that_is_said(
    client, project, engineer, bare_table
) -> None:
    Checkpoint.objects.create(
        project=project, name="smolLM2-135m", kind="base", path="models/x", digest="e" * 64,
        created_by=engineer,
    )  # fmt: skip
    evaluated(project, engineer, found(share=0.684), model="e" * 64)
    (row,) = [row for row in rows_of(page_of(client)) if "taken for this model by its name" in row]
    assert "68.4%" in row


def test_the_newest_three_stand_in_a_row(client, project, engineer, bare_table) -> None:
    for number in range(5):
        evaluated(project, engineer, found(), name=f"checked-{number}")
    row = next(row for row in rows_of(page_of(client)) if "checked-4" in row)
    assert [f"checked-{number}" in row for number in range(5)] == [False, False, True, True, True]


def test_evaluations_of_other_projects_are_not_read(client, engineer, bare_table) -> None:
    other = factories.make_project("other", "Other")
    admin = factories.make_user("x", project=other, role=Role.ADMIN)
    evaluated(other, admin, found())
    assert "checked" not in page_of(client)


def test_names_are_only_text(client, project, engineer, bare_table) -> None:
    evaluated(project, engineer, found(harness=HOSTILE), name=HOSTILE[:200])
    assert HOSTILE not in page_of(client)

"""The page of known benchmarks: what was asked the same stands together."""

from typing import get_args

import pytest
from django.urls import reverse

from pipeline.contracts.evaluation_results import (
    BenchmarkCategory,
    BenchmarkFigure,
    BenchmarkFigureName,
    BenchmarkResults,
)
from pipeline.contracts.harness_tasks import HarnessMetric, HarnessTaskResults
from studio.evaluations.benchmark_tables import FIGURE_LABELS
from studio.runs.models import Run
from tests.web.result_factory import choices, make_evaluation

pytestmark = pytest.mark.django_db


def figures(**values):
    return {
        key: BenchmarkFigure(value=value, standard_error=0.0123) for key, value in values.items()
    }


def ceval(accuracy, prompts="a" * 64, **changes):
    settings = {
        "benchmark": "C-Eval", "form": "letter", "num_few_shot": 5, "chat_template": False,
        "n": 1346, "chance": 0.25, "figures": figures(acc=accuracy, acc_norm=accuracy),
        "categories": (
            BenchmarkCategory(category="STEM", n=430, figures=figures(acc=0.5, acc_norm=0.5)),
            BenchmarkCategory(category="Other", n=916, figures=figures(acc=0.6, acc_norm=0.6)),
        ),
        "prompts_sha256": prompts, "harness": "lm-eval 0.4.13",
    }  # fmt: skip
    return BenchmarkResults(**{**settings, **changes})


def measured(project, user, name, *results):
    run = make_evaluation(project, user, name=name, chosen=choices(8, accuracy=0.5, seed=1))
    report = run.report
    report["results"]["benchmarks"] = [one.model_dump(mode="json") for one in results]
    Run.objects.filter(pk=run.pk).update(report=report)
    return run


def page_of(client, language="en"):
    client.cookies["django_language"] = language
    response = client.get(reverse("evaluations:benchmarks", args=["alpha"]))
    assert response.status_code == 200
    return response.content.decode()


def test_equal_questions_stand_in_one_table(client, project, engineer) -> None:
    gsm8k = ceval(
        0.014, benchmark="GSM8K", form="number", chance=None, categories=(), n=300,
        figures=figures(exact_match_strict=0.014, exact_match_flexible=0.02, no_number=0.5),
        prompts_sha256="c" * 64,
    )  # fmt: skip
    measured(project, engineer, "base", ceval(0.4567), gsm8k)
    measured(project, engineer, "tuned", ceval(0.4444))
    measured(project, engineer, "other", ceval(0.3333, prompts="b" * 64, num_few_shot=0))
    page = page_of(client)
    assert page.count("<table") == 3
    assert "45.7% ± 1.2" in page
    assert "letters · 5 examples · without a chat template · lm-eval 0.4.13" in page
    assert "guessing gives 25.0%" in page
    assert "letters · 0 examples" in page
    assert "Exact match (strict)" in page
    assert page.count("STEM") == 3
    chinese = page_of(client, "zh-hans")
    assert "5 个示例" in chinese
    assert "严格" in chinese


def test_every_figure_has_a_name() -> None:
    assert set(FIGURE_LABELS) == set(get_args(BenchmarkFigureName))


def test_an_evaluation_without_one_is_named(client, project, engineer) -> None:
    measured(project, engineer, "plain")
    page = page_of(client)
    assert "it measured no benchmark" in page
    assert "Import one as a data set" in page


def task(value, prompts="d" * 64, **changes):
    settings = {
        "task": "piqa", "version": "1.0", "num_few_shot": 0, "chat_template": False, "n": 100,
        "num_items": 1838, "files_sha256": {"validation.jsonl": "e" * 64},
        "metrics": (
            HarnessMetric(metric="acc", filter="none", value=value, standard_error=0.0123),
            HarnessMetric(metric="f1", filter="strict", value=None, standard_error=None),
        ),
        "prompts_sha256": prompts, "harness": "lm-eval 0.4.13",
    }  # fmt: skip
    return HarnessTaskResults(**{**settings, **changes})


def test_tasks_of_the_harness_stand_beside_the_benchmarks(client, project, engineer) -> None:
    for name, value in (("base", 0.5), ("tuned", 0.25)):
        run = measured(project, engineer, name)
        report = Run.objects.get(pk=run.pk).report
        report["results"]["harness_tasks"] = [task(value).model_dump(mode="json")]
        Run.objects.filter(pk=run.pk).update(report=report)
    page = page_of(client)
    assert page.count("<table") == 1
    assert "0.5000 ± 0.0123" in page
    assert "0.2500 ± 0.0123" in page
    assert "f1, strict" in page
    assert "task of the harness, version 1.0 · 0 examples" in page
    assert "the first 100 of 1838 questions" in page
    assert "it measured no benchmark" not in page
    assert "harness 任务，版本 1.0" in page_of(client, "zh-hans")

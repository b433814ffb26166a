"""Documents of other versions: old reports open, foreign ones are left out, columns may differ."""

import json
import re
from html import unescape
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.urls import reverse

from pipeline.contracts.manifest import file_sha256
from studio.evaluations.results import evaluation_of
from studio.measures.documents import Documents
from studio.measures.resampling import compare_results, summarize_result
from studio.measures.sample_files import SamplesFile
from tests.web import result_factory as results

REPORTS = Path(__file__).resolve().parents[1] / "contract" / "golden" / "v1" / "reports"
UNREADABLE = "its report cannot be read"


@pytest.fixture
def show(client, project):
    """`show("evaluations:retention", run=[...])` is the page's text."""

    def get(name, status=200, **query):
        response = client.get(reverse(name, args=[project.slug]), query)
        assert response.status_code == status
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())

    return get


@pytest.fixture
def evaluated(project, engineer):
    items = results.domain_items("zh", 12)
    return results.make_evaluation(
        project,
        engineer,
        name="measured",
        answered=results.answers(items, quality=0.5),
        chosen=results.choices(24, accuracy=0.6),
    )


@pytest.fixture
def other(project, engineer):
    items = results.domain_items("zh", 12)
    return results.make_evaluation(
        project,
        engineer,
        name="other",
        answered=results.answers(items, quality=0.4, seed=1),
        chosen=results.choices(24, accuracy=0.5, seed=1),
    )


def written_before(run, kind):
    """The run has the report that a version 1 of the pipeline wrote, and no file beside it."""
    results.samples_path(run).unlink(missing_ok=True)
    run.report = json.loads((REPORTS / f"{kind}.json").read_text(encoding="utf-8"))
    run.save()
    return run.report["metrics"]


def test_an_evaluation_of_version_1_opens_on_every_page(show, evaluated) -> None:
    before = written_before(evaluated, "evaluate")
    retention, overlap = before["retention"]["accuracy"], before["text_overlap"]
    text = show("evaluations:retention")
    base, new = (100 * retention["micro"][name] for name in ("base", "new"))
    assert f"{base:.1f}% → {new:.1f}%" in text
    assert f"n = {retention['micro']['num_items']}" in text
    text = show("evaluations:text_overlap")
    assert f"{overlap['rougeL']:.2f}" in text
    assert overlap["rouge_signature"] in text
    difference = before["text_overlap_vs_baseline"]["rouge1"]["difference_interval"]
    assert f"{difference['high']:.2f}]" in text
    assert f"{before['general_ability']['accuracy'] * 100:.1f}%" in show("evaluations:index")
    for page in ("published:index", "evaluations:rows", "comparisons:index"):
        assert UNREADABLE not in show(page, run=[evaluated.pk])


def test_a_benchmark_of_version_1_opens(show, project, engineer) -> None:
    run = results.make_benchmark(project, engineer, name="timed")
    before = written_before(run, "speculative_decode")
    arm = before["arms"][before["headline_arm"]]
    text = show("evaluations:speedup")
    assert f"{arm['speedup']['value']:.2f}×" in text
    assert f"{arm['oracle_bound']:.3f}×" in text
    assert f"{arm['speedup']['value']:.3f}×" in show("evaluations:index")


@pytest.mark.parametrize("report", [{"v": 9}, {"v": 1, "kind": "evaluate", "metrics": {}}])
def test_a_report_that_nobody_can_read_is_left_out_and_said(
    show, project, engineer, evaluated, other, report
) -> None:
    benchmark = results.make_benchmark(project, engineer, name="timed")
    for run in (evaluated, benchmark):
        run.report = report
        run.save()
    for page in ("retention", "text_overlap"):
        text = show(f"evaluations:{page}")
        assert f"measured : {UNREADABLE}" in text
        assert "other" in text
        assert UNREADABLE in show(f"evaluations:{page}", run=[evaluated.pk])
    assert f"timed : {UNREADABLE}" in show("evaluations:speedup")
    assert show("evaluations:index").count(UNREADABLE) == 2
    assert UNREADABLE in show("published:index")
    assert UNREADABLE in show("comparisons:index")
    assert UNREADABLE in show("evaluations:rows", run=[evaluated.pk])
    for page in ("index", "samples", "sample", "parameters"):
        text = show(f"comparisons:{page}", run=[other.pk, evaluated.pk])
        assert "Nobody can read the report of measured" in text
    show("evaluations:prepare", status=204, run=[evaluated.pk])


def test_an_unreadable_report_leaves_the_home_page_standing(
    client, project, engineer, evaluated
) -> None:
    checkpoint = results.make_training(
        project, engineer, "continual_pretrain", "1" * 64, name="cpt"
    ).checkpoints.get()
    evaluated.report["results"] = {"kind": "evaluate", "text_overlap": "damaged"}
    evaluated.save()
    page = client.get("/p/alpha/")
    assert page.status_code == 200
    assert checkpoint.name in page.content.decode()


def older_file(run, *, lacks):
    """The run's samples, as a version that did not know some measures wrote them.

    A newer version added a column that nobody here knows.
    """
    path = results.samples_path(run)
    table = pq.read_table(path).drop_columns(list(lacks))
    table = table.append_column("score_of_tomorrow", pa.array([0.5] * table.num_rows))
    pq.write_table(table, path)
    digest = file_sha256(path)
    run.report["outputs"]["samples"]["digest"] = digest
    run.save()
    return SamplesFile(path=path, digest=digest)


def test_a_file_without_a_column_has_every_other_figure(evaluated) -> None:
    before = summarize_result(evaluation_of(evaluated).samples)
    lacks = ("rougeL", "bleu_statistics", "probability")
    after = summarize_result(older_file(evaluated, lacks=lacks))
    overlap = before.tasks["text_overlap"][Documents.ALL]
    kept = {key: one for key, one in overlap.items() if key not in ("rougeL", "bleu4")}
    assert after.tasks["text_overlap"] == {Documents.ALL: kept, Documents.SEEN: kept}
    choices = before.tasks["general_ability"][Documents.ALL]
    assert after.tasks["general_ability"][Documents.ALL] == {"is_correct": choices["is_correct"]}


def test_a_pair_is_compared_in_what_both_have(evaluated, other) -> None:
    pair = evaluation_of(other).samples, evaluation_of(evaluated).samples
    before = compare_results(*pair, Documents.ALL).tasks["text_overlap"]
    older = older_file(evaluated, lacks=("rougeL",))
    after = compare_results(pair[0], older, Documents.ALL).tasks["text_overlap"]
    assert "rougeL" not in after.measures
    assert after == replace_measures(before, without="rougeL")


def replace_measures(pair, *, without):
    kept = {
        name: {key: one for key, one in getattr(pair, name).items() if key != without}
        for name in ("measures", "p_values")
    }
    return pair.model_copy(update=kept)


def test_pages_show_a_dash_for_a_column_that_is_not_there(show, evaluated, other) -> None:
    older_file(evaluated, lacks=("rougeL",))
    text = show("evaluations:rows", run=[evaluated.pk], metric="rougeL", sort="low")
    assert "Rows 1 to 12 of 12" in text
    assert text.count("—") >= 12
    text = show("comparisons:index", run=[other.pk, evaluated.pk])
    row = text[text.index("ROUGE-L higher is better") : text.index("BLEU-4 higher is better")]
    assert row.count("—") == 2
    assert "holds no samples" not in text
    # The usual score is not there on both sides, so the next one orders the items.
    assert "ROUGE-1, A" in show("comparisons:samples", run=[other.pk, evaluated.pk])
    text = show("comparisons:sample", run=[other.pk, evaluated.pk], item="t1-q01-zh")
    assert re.search(r"ROUGE-L [\d.]+ .*ROUGE-L —", text)


def test_a_file_without_answers_is_no_samples_file(show, evaluated) -> None:
    older_file(evaluated, lacks=("answer",))
    text = show("evaluations:rows", run=[evaluated.pk])
    assert "holds no samples of this version" in text

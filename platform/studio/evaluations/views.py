"""The dashboards of retention, text overlap and speedup, and the list of all results."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from studio.accounts.access import ProjectRequest, project_required
from studio.evaluations import overlap_figures, retained, speedup_tables
from studio.evaluations.acceptance_chart import acceptance_chart
from studio.evaluations.answers_chart import answers_chart
from studio.evaluations.arms import is_lossless
from studio.evaluations.cost_chart import cost_chart
from studio.evaluations.dashboards import dashboard, tabs, unreadable_absences
from studio.evaluations.gauge_chart import gauge_chart
from studio.evaluations.judged_gauges import judged_gauges
from studio.evaluations.length_chart import length_chart
from studio.evaluations.likelihood_chart import likelihood_chart
from studio.evaluations.list_rows import benchmark_row, evaluation_row
from studio.evaluations.overlap_charts import change_chart, document_chart, score_chart
from studio.evaluations.pays import judged_arms
from studio.evaluations.results import (
    baselines_of,
    benchmarks_of,
    evaluations_of,
    succeeded,
    unreadable,
)
from studio.evaluations.retention_charts import category_chart, flips_chart, ratio_chart
from studio.evaluations.selection import NEWEST, newest_evaluations, select_runs
from studio.evaluations.speedup_chart import speedup_chart
from studio.evaluations.stored_figures import summaries
from studio.measures.labels import headline_measures, usual_overlaps
from studio.pages.addresses import chosen, query_with
from studio.pages.security import charts_page


@require_safe
@project_required()
def index(request: ProjectRequest) -> HttpResponse:
    """The newest evaluations and benchmarks with their headline figures."""
    evaluations = newest_evaluations(request.project)
    runs = list(succeeded(request.project, "speculative_decode")[:NEWEST])
    benchmarks = benchmarks_of(runs)
    left_out = [*evaluations.unreadable, *unreadable(runs, benchmarks)]
    context = {
        "evaluations": [evaluation_row(one) for one in evaluations.readable],
        "headlines": headline_measures(),
        "benchmarks": [benchmark_row(one) for one in benchmarks],
        "absences": unreadable_absences(left_out),
        "newest": NEWEST,
        "tabs": tabs(request, "evaluations:index"),
    }
    return render(request, "evaluations/index.html", context)


@require_safe
@charts_page
@project_required()
def retention(request: ProjectRequest) -> HttpResponse:
    """What the chosen checkpoints keep: the gauge first, questions as the second witness."""
    selection = select_runs(request, "evaluate")
    evaluations = evaluations_of(request.project, selection.runs)
    score = chosen(request.GET.get("score", ""), list(retained.SCORES))
    kept = retained.retained(evaluations, baselines_of(request.project, evaluations), score)
    detailed = next(
        (one for one in kept if one.evaluation.id == request.GET.get("detail")),
        kept[-1] if kept else None,
    )
    context: dict[str, object] = {
        "gauges": judged_gauges(evaluations),
        "kept": kept,
        "detailed": detailed,
        "scores": [
            (label, query_with(request, score=key), key == score)
            for key, label in retained.SCORES.items()
        ],
        "details": [
            (one.evaluation.label, query_with(request, detail=one.evaluation.id), one is detailed)
            for one in kept
        ],
        "gauge_charts": [gauge_chart(evaluations)],
        "charts": [
            ratio_chart(kept),
            flips_chart(kept),
            *([category_chart(detailed)] if detailed else []),
        ],
        "definitions": retained.definitions(evaluations),
    }
    return dashboard(
        request, "evaluations:retention", selection, evaluations, context,
        absences=retained.absences(evaluations),
    )  # fmt: skip


@require_safe
@charts_page
@project_required()
def text_overlap(request: ProjectRequest) -> HttpResponse:
    """ROUGE and BLEU of the chosen checkpoints."""
    selection = select_runs(request, "evaluate")
    evaluations = evaluations_of(request.project, selection.runs)
    with_answers = overlap_figures.with_answers(evaluations)
    stored = summaries(with_answers)
    answered = overlap_figures.answered_of(with_answers, stored)
    baselines = baselines_of(request.project, with_answers)
    measures = {measure.key: measure for measure in usual_overlaps()}
    metric = chosen(request.GET.get("metric", ""), list(measures))
    context: dict[str, object] = {
        "charts": [
            likelihood_chart(answered, baselines),
            score_chart(answered),
            change_chart(answered, baselines),
            document_chart(answered, measures[metric]),
            length_chart(answered),
        ],
        "metrics": [
            (measure.label, query_with(request, metric=key), key == metric)
            for key, measure in measures.items()
        ],
        "problems": [
            *((one.label, one.stored.problem) for one in answered if one.stored.problem),
            *overlap_figures.cut_warnings(answered),
        ],
        "pending_query": next(
            (f"run={one.evaluation.id}" for one in answered if one.stored.is_pending), ""
        ),
        "definitions": overlap_figures.definitions(answered),
    }
    return dashboard(
        request, "evaluations:text_overlap", selection, evaluations, context,
        absences=overlap_figures.absences(evaluations),
    )  # fmt: skip


@require_safe
@charts_page
@project_required()
def speedup(request: ProjectRequest) -> HttpResponse:
    """One decoding benchmark, the newest of the chosen ones first."""
    selection = select_runs(request, "speculative_decode")
    found = benchmarks_of(reversed(selection.runs))
    shown = next((one for one in found if one.id == request.GET.get("detail")), None)
    shown = shown or (found[0] if found else None)
    context: dict[str, object] = {
        "benchmark": shown,
        "details": [(one.label, query_with(request, detail=one.id), one is shown) for one in found],
    }
    if shown is not None:
        columns, counts = speedup_tables.losslessness_rows(shown)
        context |= {
            "judged": judged_arms(shown),
            "charts": [
                speedup_chart(shown),
                answers_chart(shown),
                acceptance_chart(shown),
                cost_chart(shown),
            ],
            "is_lossless": is_lossless(shown),
            "losslessness_columns": columns,
            "losslessness_rows": counts,
            "throughput_rows": speedup_tables.throughput_rows(shown),
            "definitions": list(shown.definitions.items()),
        }
    return dashboard(request, "evaluations:speedup", selection, found, context)

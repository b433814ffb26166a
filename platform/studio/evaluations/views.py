"""The dashboards: retention, text overlap, speedup, and our results beside the paper's."""

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from pipeline.errors import DataError
from studio.accounts.access import ProjectRequest, project_required
from studio.evaluations import overlap_page, published, retention_page, speedup_page
from studio.evaluations.headlines import headline
from studio.evaluations.measures import TASK_LABELS
from studio.evaluations.models import Documents
from studio.evaluations.one_result import DOCUMENTS, SORTS, chosen, result_rows
from studio.evaluations.results import Benchmark, baselines_of, evaluations_of, succeeded
from studio.evaluations.selection import (
    NEWEST,
    Selection,
    chosen_evaluations,
    newest_evaluations,
    page_url,
    query_with,
    select_runs,
)
from studio.evaluations.stored_figures import pair_figures, summaries
from studio.pages.security import charts_page
from studio.runs.models import Run

_TABS = (
    ("index", _("Results")),
    ("retention", _("General ability")),
    ("text_overlap", _("Text overlap")),
    ("speedup", _("Decoding speed")),
    ("published", _("Beside the paper")),
)
# Far beyond any evaluation: only `prepare` may take as long as it takes.
_NO_LIMIT = 10**9


@require_safe
@project_required()
def index(request: ProjectRequest) -> HttpResponse:
    """The newest evaluations and benchmarks with their headline figures."""
    newest = succeeded(request.project, "speculative_decode")[:NEWEST]
    context = {
        "evaluations": [headline(one) for one in newest_evaluations(request.project)],
        "benchmarks": [speedup_page.headline(Benchmark(run=run)) for run in newest],
        "newest": NEWEST,
        "tabs": _tabs(request, "index", None),
    }
    return render(request, "evaluations/index.html", context)


@require_safe
@charts_page
@project_required()
def retention(request: ProjectRequest) -> HttpResponse:
    """General-ability retention of the chosen checkpoints."""
    selection = select_runs(request, "evaluate")
    evaluations = evaluations_of(request.project, selection.runs)
    score = chosen(request.GET.get("score", ""), list(retention_page.SCORES))
    baselines = baselines_of(request.project, evaluations)
    kept = retention_page.retained(evaluations, baselines, score)
    detailed = next(
        (one for one in kept if one.evaluation.id == request.GET.get("detail")),
        kept[-1] if kept else None,
    )
    context = {
        "kept": kept,
        "detailed": detailed,
        "absences": retention_page.absences(evaluations, score),
        "scores": [
            (label, query_with(request, score=key), key == score)
            for key, label in retention_page.SCORES.items()
        ],
        "details": [
            (one.evaluation.label, query_with(request, detail=one.evaluation.id), one is detailed)
            for one in kept
        ],
        "charts": [
            retention_page.ratio_chart(kept),
            retention_page.flips_chart(kept),
            *([retention_page.category_chart(detailed)] if detailed else []),
            retention_page.gauge_chart(evaluations),
        ],
        "definitions": retention_page.definitions(evaluations),
    }
    return _dashboard(request, "retention", selection, context)


@require_safe
@charts_page
@project_required()
def text_overlap(request: ProjectRequest) -> HttpResponse:
    """ROUGE and BLEU of the chosen checkpoints."""
    selection = select_runs(request, "evaluate")
    evaluations = evaluations_of(request.project, selection.runs)
    answered = overlap_page.with_answers(evaluations)
    choices = overlap_page.metric_choices()
    metric = chosen(request.GET.get("metric", ""), [key for key, _label in choices])
    stored = summaries(answered)
    context = {
        "charts": [
            overlap_page.score_chart(answered, stored),
            overlap_page.change_chart(answered, baselines_of(request.project, answered)),
            overlap_page.document_chart(answered, stored, metric),
            overlap_page.length_chart(answered, stored),
        ],
        "metrics": [
            (label, query_with(request, metric=key), key == metric) for key, label in choices
        ],
        "absences": [
            (one.label, _("domain questions were not asked in this run"))
            for one in evaluations
            if one not in answered
        ],
        "problems": [
            (one.label, stored[one.id].problem) for one in answered if stored[one.id].problem
        ],
        "pending_query": next(
            (f"run={one.id}" for one in answered if stored[one.id].is_pending), ""
        ),
        "definitions": overlap_page.definitions(answered),
    }
    return _dashboard(request, "text_overlap", selection, context)


@require_safe
@charts_page
@project_required()
def speedup(request: ProjectRequest) -> HttpResponse:
    """One decoding benchmark, the newest of the chosen ones first."""
    selection = select_runs(request, "speculative_decode")
    found = [Benchmark(run=run) for run in reversed(selection.runs)]
    shown = next((one for one in found if one.id == request.GET.get("detail")), None)
    shown = shown or (found[0] if found else None)
    context: dict[str, Any] = {
        "benchmark": shown,
        "details": [(one.label, query_with(request, detail=one.id), one is shown) for one in found],
    }
    if shown is not None:
        columns, counts = speedup_page.losslessness_rows(shown)
        context |= {
            "charts": [
                speedup_page.speedup_chart(shown),
                speedup_page.acceptance_chart(shown),
                speedup_page.cost_chart(shown),
            ],
            "is_lossless": shown.figure("losslessness.is_lossless"),
            "losslessness_columns": columns,
            "losslessness_rows": counts,
            "throughput_rows": speedup_page.throughput_rows(shown),
            "definitions": list(shown.definitions.items()),
        }
    return _dashboard(request, "speedup", selection, context)


@require_safe
@charts_page
@project_required()
def published_results(request: ProjectRequest) -> HttpResponse:
    """Our figures beside the paper's."""
    selection = select_runs(request, "evaluate", prefers_plan=True)
    evaluations = evaluations_of(request.project, selection.runs)
    newest = succeeded(request.project, "speculative_decode")
    if selection.plan is not None:
        newest = newest.filter(plan=selection.plan)
    pairs = published.pairs_to_compare(evaluations)
    stored = {
        documents: pair_figures(pairs, documents) for documents in (Documents.ALL, Documents.UNSEEN)
    }
    benchmark = next((Benchmark(run=run) for run in newest[:1]), None)
    rows = published.claim_rows(evaluations, benchmark, stored)
    pending = [
        (*key, documents.value)
        for documents, found in stored.items()
        for key, one in found.items()
        if one.is_pending
    ]
    context = {
        "claims": rows,
        "source": published.SOURCE,
        "charts": [published.claims_chart(rows)],
        "pending_query": "run={}&run={}&documents={}".format(*pending[0]) if pending else "",
    }
    return _dashboard(request, "published", selection, context)


@require_safe
@project_required()
def rows(request: ProjectRequest) -> HttpResponse:
    """The samples of one evaluation."""
    chosen_ones = chosen_evaluations(request)
    if len(chosen_ones) != 1:
        raise Http404("one evaluation has rows; several are compared")
    (evaluation,) = chosen_ones
    context: dict[str, Any] = {
        "evaluation": evaluation,
        "sorts": SORTS.items(),
        "documents_choices": DOCUMENTS.items(),
        "task_labels": TASK_LABELS,
        "tabs": _tabs(request, "", None),
    }
    try:
        if evaluation.samples is not None:
            context["result"] = result_rows(evaluation.samples, request)
    except DataError as exc:
        context["problem"] = str(exc)
    return render(request, "evaluations/rows.html", context)


@require_safe
@project_required()
def prepare(request: ProjectRequest) -> HttpResponse:
    """Intervals that a page could not wait for are computed; the page then loads again."""
    evaluations = chosen_evaluations(request)
    if len(evaluations) == 1:
        summaries(evaluations, max_items=_NO_LIMIT)
    elif len(evaluations) == 2:
        documents = Documents(chosen(request.GET.get("documents", ""), Documents.values))
        pair_figures([(evaluations[0], evaluations[1])], documents, max_items=_NO_LIMIT)
    return HttpResponse(status=204, headers={"X-Poll-Reload": "1"})


def _dashboard(
    request: ProjectRequest, name: str, selection: Selection, context: dict[str, Any]
) -> HttpResponse:
    context |= {
        "selection": selection,
        "tabs": _tabs(request, name, selection),
        "waiting": _waiting(request) if not selection.runs else None,
    }
    return render(request, f"evaluations/{name}.html", context)


def _tabs(
    request: ProjectRequest, current: str, selection: Selection | None
) -> list[tuple[Any, str, bool]]:
    """(label, address, is current); the chosen plan goes with the reader."""
    plan = selection.plan if selection is not None else None
    query = f"plan={plan.pk}" if plan is not None else ""
    return [
        (label, page_url(f"evaluations:{name}", request.project.slug, query), name == current)
        for name, label in _TABS
    ]


def _waiting(request: ProjectRequest) -> dict[str, int]:
    """Why there is nothing to show: runs that have not ended, and runs that failed."""
    kinds = ("evaluate", "speculative_decode")
    runs = Run.objects.filter(project=request.project, kind__in=kinds)
    return {
        "unfinished": runs.unfinished().count(),
        "failed": runs.filter(state="failed").count(),
    }

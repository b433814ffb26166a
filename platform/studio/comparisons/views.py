"""Two to six evaluations side by side: summary, samples, one sample, parameters.

Every page's state is its address; without enough evaluations in it, the pages offer a choice.
"""

from collections.abc import Callable
from functools import wraps

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from pipeline.errors import DataError, EvaluationError
from studio.accounts.access import ProjectRequest, project_required
from studio.comparisons.chosen import Comparison, read_comparison
from studio.comparisons.comparability import run_checks, undecidable_tasks
from studio.comparisons.difference_chart import difference_chart
from studio.comparisons.family import Family, judge_together
from studio.comparisons.parameters import parameter_rows
from studio.comparisons.sample_page import sample_context
from studio.comparisons.samples_page import samples_context
from studio.comparisons.summary import (
    conclusions,
    gauge_rows,
    judged_against,
    retention_verdict,
    summary_rows,
)
from studio.evaluations.dashboards import unreadable_absences
from studio.evaluations.judged_gauges import judged_gauges
from studio.evaluations.list_rows import evaluation_row
from studio.evaluations.retained import Retained
from studio.evaluations.selection import newest_evaluations
from studio.evaluations.stored_figures import StoredPairs, pair_figures
from studio.measures.labels import headline_measures
from studio.pages.addresses import page_url, query_with
from studio.pages.security import charts_page

_TABS = (
    ("index", gettext_lazy("Summary")),
    ("samples", gettext_lazy("Samples")),
    ("parameters", gettext_lazy("Parameters")),
)
ComparisonView = Callable[[ProjectRequest, Comparison], HttpResponse]


def comparison_required(view: ComparisonView) -> Callable[[ProjectRequest], HttpResponse]:
    """The view runs with the comparison of the address; without one, the reader chooses."""

    @wraps(view)
    def checked(request: ProjectRequest) -> HttpResponse:
        comparison, chosen, problem = read_comparison(request)
        if comparison is not None:
            return view(request, comparison)
        newest = newest_evaluations(request.project)
        context: dict[str, object] = {
            "evaluations": [evaluation_row(one) for one in newest.readable],
            "headlines": headline_measures(),
            "absences": unreadable_absences(newest.unreadable),
            "chosen": [one.id for one in chosen],
            "problem": problem,
        }
        return render(request, "comparisons/choose.html", context)

    return checked


@require_safe
@charts_page
@project_required()
@comparison_required
def index(request: ProjectRequest, comparison: Comparison) -> HttpResponse:
    """Comparability first, then differences with intervals."""
    stored = pair_figures([(comparison.baseline, one) for one in comparison.candidates])
    checks = run_checks(comparison, stored)
    undecidable = undecidable_tasks(checks)
    family = judge_together(comparison, stored, undecidable)
    groups = summary_rows(comparison, stored, family, undecidable)
    kept = [
        Retained(evaluation=one, baseline=comparison.baseline, retention=retention)
        for one in comparison.candidates
        if (retention := retention_verdict(comparison.baseline, one)) is not None
    ]
    context: dict[str, object] = {
        "checks": checks,
        "num_agreeing": sum(not check.is_shown for check in checks),
        "groups": groups,
        "family": family,
        "conclusions": conclusions(comparison, groups),
        "gauges": judged_gauges(judged_against(comparison.baseline, comparison.candidates)),
        "kept": kept,
        "gauge_rows": gauge_rows(comparison),
        "charts": [difference_chart(comparison, groups, family)],
        "problems": sorted({one.problem for one in stored.values() if one.problem}),
        "pending_query": _pending_query(stored, family),
    }
    return _page(request, comparison, "index", context)


def _pending_query(stored: StoredPairs, family: Family) -> str:
    """What is computed next of what the page waits for; empty when it waits for nothing."""
    pair = next((key for key, one in stored.items() if one.is_pending), None)
    if pair is not None:
        return "run={}&run={}".format(*pair)
    if family.pending is None:
        return ""
    return "run={}&run={}&tests={}".format(*family.pending, family.num_tests)


@require_safe
@project_required()
@comparison_required
def samples(request: ProjectRequest, comparison: Comparison) -> HttpResponse:
    """The items of the baseline and one candidate, by outcome."""
    try:
        context = samples_context(request, comparison)
    except (DataError, EvaluationError) as exc:
        context = {"problem": str(exc)}
    return _page(request, comparison, "samples", context)


@require_safe
@project_required()
@comparison_required
def sample(request: ProjectRequest, comparison: Comparison) -> HttpResponse:
    """One item with every answer to it.

    Raises:
        Http404: none of the results has the item.
    """
    try:
        context = sample_context(request, comparison)
    except (DataError, EvaluationError) as exc:
        context = {"problem": str(exc)}
    return _page(request, comparison, "samples", context, template="comparisons/sample.html")


@require_safe
@project_required()
@comparison_required
def parameters(request: ProjectRequest, comparison: Comparison) -> HttpResponse:
    """What differs between the runs; everything on request."""
    rows = parameter_rows(comparison.evaluations)
    differing = [row for row in rows if row.is_different]
    shows_all = request.GET.get("show") == "all"
    context: dict[str, object] = {
        "parameters": rows if shows_all else differing,
        "num_hidden": len(rows) - len(differing),
        "shows_all": shows_all,
        "toggle_query": query_with(request, show="" if shows_all else "all"),
    }
    return _page(request, comparison, "parameters", context)


def _page(
    request: ProjectRequest,
    comparison: Comparison,
    name: str,
    context: dict[str, object],
    *,
    template: str = "",
) -> HttpResponse:
    slug = request.project.slug
    kept = query_with(request, item="", diff="")
    context |= {
        "comparison": comparison,
        "tabs": [
            (label, page_url(f"comparisons:{tab}", slug, kept), tab == name) for tab, label in _TABS
        ],
    }
    return render(request, template or f"comparisons/{name}.html", context)

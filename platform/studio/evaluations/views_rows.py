"""The rows behind one evaluation's figures, and the figures that take long to compute."""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pipeline.errors import DataError
from studio.accounts.access import ProjectRequest, project_required
from studio.evaluations.dashboards import tabs, unreadable_absences
from studio.evaluations.one_result import SORTS, result_rows
from studio.evaluations.selection import chosen_evaluations
from studio.evaluations.stored_figures import family_figures, pair_figures, summaries
from studio.measures.documents import DOCUMENT_LABELS, Documents
from studio.measures.labels import TASK_LABELS
from studio.pages.addresses import chosen

# Far beyond any evaluation: only `prepare` may take as long as it takes.
_NO_LIMIT = 10**9
# More than any page judges: five candidates in every measure.
_MAX_TESTS = 200


@require_safe
@project_required()
def rows(request: ProjectRequest) -> HttpResponse:
    """The samples of one evaluation."""
    asked_for = chosen_evaluations(request)
    runs = [*(one.run for one in asked_for.readable), *asked_for.unreadable]
    if len(runs) != 1:
        raise Http404("one evaluation has rows; several are compared")
    context: dict[str, object] = {
        "run": runs[0],
        "name": runs[0].name,
        "sorts": SORTS.items(),
        "documents_choices": DOCUMENT_LABELS.items(),
        "task_labels": TASK_LABELS,
        "tabs": tabs(request, ""),
    }
    for _name, reason in unreadable_absences(asked_for.unreadable):
        context["problem"] = reason
    for evaluation in asked_for.readable:
        context["name"] = evaluation.label
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
    evaluations = chosen_evaluations(request).readable
    if len(evaluations) == 1:
        summaries(evaluations, max_items=_NO_LIMIT)
    elif len(evaluations) == 2:
        pair = [(evaluations[0], evaluations[1])]
        documents = chosen(request.GET.get("documents", ""), list(Documents))
        if (num_tests := _whole_number(request.GET.get("tests", ""))) is None:
            pair_figures(pair, documents, max_items=_NO_LIMIT)
        else:
            family_figures(pair, num_tests, documents, max_items=_NO_LIMIT)
    return HttpResponse(status=204, headers={"X-Poll-Reload": "1"})


def _whole_number(text: str) -> int | None:
    """The size of a family; None where none is asked for.

    Raises:
        Http404: no page asks for such a family.
    """
    if not text:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_TESTS))
    if not is_number or not 1 <= int(text) <= _MAX_TESTS:
        raise Http404("no size of a family")
    return int(text)

"""What all dashboards have in common: tabs, the choice of results, and why something is missing."""

from collections.abc import Sequence

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from studio.accounts.access import ProjectRequest
from studio.evaluations.results import Result, unreadable
from studio.evaluations.selection import Selection
from studio.pages.addresses import page_url
from studio.runs.models import Run
from studio.runs.states import RunState

_TABS = (
    ("evaluations:index", gettext_lazy("Results")),
    ("evaluations:retention", gettext_lazy("General ability")),
    ("evaluations:text_overlap", gettext_lazy("Text overlap")),
    ("evaluations:benchmarks", gettext_lazy("Benchmarks")),
    ("evaluations:speedup", gettext_lazy("Decoding speed")),
    ("published:index", gettext_lazy("Beside the paper")),
    ("published:reproduction", gettext_lazy("Reproduction")),
)
Absences = list[tuple[str, str]]
"""(name, reason) of what the page does not show."""


def dashboard(
    request: ProjectRequest,
    page: str,
    selection: Selection,
    results: Sequence[Result],
    context: dict[str, object],
    *,
    absences: Absences | None = None,
) -> HttpResponse:
    """The page at the address named `page`, below the tabs.

    Args:
        request: of the reader.
        page: name of the address, which is the template's place too.
        selection: what the reader chose.
        results: those of the selection that can be read.
        context: of the page itself.
        absences: what it does not show of them.
    """
    app, name = page.split(":")
    left_out = unreadable_absences(unreadable(selection.runs, results))
    context |= {
        "selection": selection,
        "results": results,
        "absences": [*(absences or []), *left_out],
        "tabs": tabs(request, page, selection),
        "waiting": None if selection.runs else _waiting(request),
    }
    return render(request, f"{app}/{name}.html", context)


def unreadable_absences(runs: Sequence[Run]) -> Absences:
    """Runs that have ended well, but whose report nobody can read."""
    reason = _("its report cannot be read: it is damaged, or a newer version wrote it")
    return [(run.name, reason) for run in runs]


def tabs(
    request: ProjectRequest, current: str, selection: Selection | None = None
) -> list[tuple[Promise, str, bool]]:
    """(label, address, is current); the chosen plan goes with the reader."""
    plan = selection.plan if selection is not None else None
    query = f"plan={plan.pk}" if plan is not None else ""
    return [
        (label, page_url(name, request.project.slug, query), name == current)
        for name, label in _TABS
    ]


def _waiting(request: ProjectRequest) -> dict[str, int]:
    """Why there is nothing to show: runs that have not ended, and runs that failed."""
    kinds = ("evaluate", "speculative_decode")
    runs = Run.objects.filter(project=request.project, kind__in=kinds)
    return {
        "unfinished": runs.unfinished().count(),
        "failed": runs.filter(state=RunState.FAILED).count(),
    }

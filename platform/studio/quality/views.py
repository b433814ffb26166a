"""A version's quality: what a check found, row by row, and a cleaner version of it."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from pipeline.contracts.quality_checks import CHECK_CODES
from pipeline.errors import SpecError
from studio.accounts.access import ProjectRequest, project_required
from studio.accounts.models import Role
from studio.datasets.models import DatasetVersion
from studio.pages.pagination import first_index
from studio.pages.polling import polled
from studio.quality import services
from studio.quality.cleanings import cleaning_that_made, shown_cleanings
from studio.quality.flag_pages import read_flags
from studio.quality.forms import CheckForm, CleanForm
from studio.quality.models import Cleaning
from studio.quality.reasons import CHECK_LABELS
from studio.quality.summaries import QualitySummary, flags_path, quality_summary
from studio.runs.kinds import KINDS
from studio.runs.models import Run

STARTERS = KINDS["check_dataset"].starters


@require_safe
@project_required()
def quality(request: ProjectRequest, version_id: int) -> HttpResponse:
    """What is known of the version, and what can be done about it."""
    version = find_version(request, version_id)
    return _page(request, version)


@require_safe
@project_required()
def progress(request: ProjectRequest, version_id: int) -> HttpResponse:
    """The part of the page that changes while a check or a cleaning works."""
    version = find_version(request, version_id)
    working = _working(version, quality_summary(version))
    response = render(request, "quality/_progress.html", {"working": working})
    return polled(response, has_ended=not working)


@require_POST
@project_required(*STARTERS)
def check(request: ProjectRequest, version_id: int) -> HttpResponse:
    """A check is started; it compares with the chosen tests."""
    version = find_version(request, version_id)
    form = CheckForm(request.POST, version=version)
    if not form.is_valid():
        return _page(request, version, check_form=form)
    try:
        services.check_start(
            version=version, actor=request.user, test_versions=list(form.cleaned_data["tests"])
        )
    except SpecError as error:
        messages.error(request, str(error))
    return redirect("quality:quality", request.project.slug, version.pk)


@require_POST
@project_required(*STARTERS)
def clean(request: ProjectRequest, version_id: int) -> HttpResponse:
    """A cleaning is started; its version appears when it has ended."""
    version = find_version(request, version_id)
    form = CleanForm(request.POST)
    found = quality_summary(version)
    if form.is_valid() and form.cleaned_data["drop"] and found.check is None:
        form.add_error("drop", _("Check the version first: rows are left out by their flags."))
    if not form.is_valid():
        return _page(request, version, clean_form=form)
    try:
        services.clean_start(
            version=version, actor=request.user, check=found.check, **form.cleaned_data
        )
    except SpecError as error:
        form.add_error(None, str(error))
        return _page(request, version, clean_form=form)
    return redirect("quality:quality", request.project.slug, version.pk)


@require_safe
@project_required()
def flags(request: ProjectRequest, version_id: int) -> HttpResponse:
    """The flagged rows, of one check or of all, with the reason of each."""
    version = find_version(request, version_id)
    found = quality_summary(version)
    if found.check is None:
        raise Http404("the version was not checked")
    asked = request.GET.get("check", "")
    code = next((code for code in CHECK_CODES if code == asked), None)
    page = read_flags(
        flags_path(found.check),
        check=code,
        start=first_index(request),
        kind=version.dataset.kind,
        test_names=[str(test.version) for test in found.tests],
    )
    return render(
        request,
        "quality/flags.html",
        {
            "version": version,
            "summary": found,
            "page": page,
            "code": code or "",
            "label": CHECK_LABELS[code] if code else "",
        },
    )


def find_version(request: ProjectRequest, version_id: int) -> DatasetVersion:
    """The version, if it still has rows.

    Raises:
        Http404: it is not the project's, or was deleted.
    """
    versions = DatasetVersion.objects.for_user(request.user).live()
    return get_object_or_404(
        versions.select_related("dataset__project").defer("manifest"),
        dataset__project=request.project,
        pk=version_id,
    )


def can_start(request: ProjectRequest) -> bool:
    """Whether the sender may start checks, cleanings and previews."""
    return request.role in (*STARTERS, Role.ADMIN)


def _page(
    request: ProjectRequest,
    version: DatasetVersion,
    *,
    check_form: CheckForm | None = None,
    clean_form: CleanForm | None = None,
) -> HttpResponse:
    found = quality_summary(version)
    compared = [test.version.pk for test in found.tests]
    context = {
        "version": version,
        "summary": found,
        "working": _working(version, found),
        "cleanings": shown_cleanings(version),
        "made_by": cleaning_that_made(version),
        "can_start": can_start(request),
        "check_form": check_form or CheckForm(version=version, initial={"tests": compared}),
        "clean_form": clean_form or CleanForm(),
    }
    is_wrong = check_form is not None or clean_form is not None
    return render(request, "quality/quality.html", context, status=400 if is_wrong else 200)


def _working(version: DatasetVersion, found: QualitySummary) -> list[Run]:
    """Runs that change the page when they end."""
    cleanings = Cleaning.objects.filter(version=version).select_related("run").order_by("-pk")[:10]
    runs = [cleaning.run for cleaning in cleanings]
    if found.newest is not None:
        runs.append(found.newest.run)
    return [run for run in runs if not run.is_terminal]

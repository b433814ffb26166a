"""While every row is read, and what a person does about what was found."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from pipeline.errors import SpecError
from studio.accounts.access import ProjectRequest, project_required
from studio.datasets import services
from studio.datasets.commits import import_commit, leaves_out_ask
from studio.datasets.models import DatasetVersion, Import
from studio.datasets.previews import asked_options, preview_start
from studio.datasets.publishers import next_number
from studio.datasets.reports import read_report
from studio.datasets.rights import UPLOADERS, may_change, refuse_others
from studio.datasets.stored_tables import first_rows
from studio.pages.pagination import first_index
from studio.pages.polling import polled
from studio.runs.states import RunState

NUM_FIRST_ROWS = 10


@require_safe
@project_required()
def checking(request: ProjectRequest, import_id: int) -> HttpResponse:
    """How far the reading is; once it has ended, its report."""
    started = find_import(request, import_id)
    if started.run.is_terminal:
        return redirect("datasets:report", request.project.slug, started.pk)
    return render(
        request,
        "datasets/checking.html",
        {"started": started, "can_change": may_change(request, started.created_by)},
    )


@require_safe
@project_required()
def progress(request: ProjectRequest, import_id: int) -> HttpResponse:
    """The part of the page that changes while the run is working."""
    started = find_import(request, import_id)
    response = render(request, "datasets/_progress.html", {"run": started.run})
    return polled(response, has_ended=started.run.is_terminal)


@require_safe
@project_required()
def report(request: ProjectRequest, import_id: int) -> HttpResponse:
    """What was found, and what can be done about it."""
    started = find_import(request, import_id)
    if not started.run.is_terminal:
        return redirect("datasets:checking", request.project.slug, started.pk)
    return _report_page(request, started)


def _report_page(request: ProjectRequest, started: Import, *, error: str = "") -> HttpResponse:
    context: dict[str, object] = {
        "started": started,
        "can_change": may_change(request, started.created_by),
        "version": DatasetVersion.objects.filter(run=started.run).select_related("dataset").first(),
        "commit_error": error,
    }
    if started.run.state == RunState.SUCCEEDED:
        found = read_report(started, code=request.GET.get("code", ""), start=first_index(request))
        context["report"] = found
        if found is not None:
            context["must_accept"] = leaves_out_ask(started.dataset.kind, found.num_rejected)
            if context["version"] is None and found.can_be_kept:
                context["next_number"] = next_number(started.dataset)
            if found.rows_path is not None:
                kind = started.dataset.kind
                context["first_rows"] = first_rows(found.rows_path, kind, size=NUM_FIRST_ROWS)
    return render(request, "datasets/report.html", context, status=400 if error else 200)


@require_POST
@project_required(*UPLOADERS)
def again(request: ProjectRequest, import_id: int) -> HttpResponse:
    """The same upload is looked at as this import read it, so that something can be changed."""
    earlier = find_import(request, import_id)
    refuse_others(request, earlier.created_by)
    if earlier.preview is not None:
        return redirect("datasets:preview", request.project.slug, earlier.preview.pk)
    try:
        preview = preview_start(
            upload=earlier.upload,
            actor=request.user,
            dataset_name=earlier.dataset.name,
            kind=earlier.dataset.kind,
            options=asked_options(earlier.run),
            note=earlier.note,
        )
    except SpecError as error:
        messages.error(request, str(error))
        return redirect("datasets:report", request.project.slug, earlier.pk)
    return redirect("datasets:preview", request.project.slug, preview.pk)


@require_POST
@project_required(*UPLOADERS)
def commit(request: ProjectRequest, import_id: int) -> HttpResponse:
    """The rows that are right become the next version."""
    started = find_import(request, import_id)
    refuse_others(request, started.created_by)
    try:
        version = import_commit(
            started=started,
            actor=request.user,
            accepts_rejected=request.POST.get("accepts_rejected") == "on",
        )
    except ValidationError as error:
        return _report_page(request, started, error=error.messages[0])
    messages.success(
        request,
        _("%(rows)s rows were kept as version %(number)s of %(name)s.")
        % {"rows": version.num_rows, "number": version.number, "name": version.dataset.name},
    )
    return redirect("datasets:version", request.project.slug, version.pk)


@require_POST
@project_required(*UPLOADERS)
def discard(request: ProjectRequest, import_id: int) -> HttpResponse:
    """The uploaded file is removed."""
    started = find_import(request, import_id)
    refuse_others(request, started.created_by)
    try:
        services.upload_discard(upload=started.upload, actor=request.user)
    except ValidationError as error:
        messages.error(request, error.messages[0])
        return redirect("datasets:report", request.project.slug, started.pk)
    messages.success(request, _("%(file)s was discarded.") % {"file": started.upload.file_name})
    return redirect("datasets:index", request.project.slug)


def find_import(request: ProjectRequest, import_id: int) -> Import:
    """The import of this number in the request's project.

    Raises:
        Http404: there is none, or the sender is no member.
    """
    imports = Import.objects.for_user(request.user).select_related(
        "upload__uploader", "dataset__project", "run", "created_by", "preview"
    )
    return get_object_or_404(imports, dataset__project=request.project, pk=import_id)

"""Versions and rejected rows as files."""

from django.contrib import messages
from django.http import Http404, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_safe

from studio.accounts.access import ProjectRequest, project_required
from studio.datasets.exports import EXPORTS, export_refusal
from studio.datasets.models import DatasetVersion, Import
from studio.datasets.rejects import rejects_file
from studio.datasets.reports import read_report
from studio.runs.states import RunState


@require_safe
@project_required()
def rows(request: ProjectRequest, version_id: int, suffix: str) -> HttpResponseBase:
    """Every row of the version as a file of the kind that the suffix names."""
    versions = DatasetVersion.objects.for_user(request.user).live().select_related("dataset")
    found = get_object_or_404(versions, dataset__project=request.project, pk=version_id)
    if suffix not in EXPORTS:
        raise Http404(f"no export {suffix!r}")
    refusal = export_refusal(found.rows_path, suffix)
    if refusal:
        messages.error(request, refusal)
        return redirect("datasets:version", request.project.slug, found.pk)
    content_type, write = EXPORTS[suffix]
    response = StreamingHttpResponse(write(found.rows_path), content_type=content_type)
    name = f"dataset-{found.dataset_id}-v{found.number}.{suffix}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_safe
@project_required()
def rejects(request: ProjectRequest, import_id: int) -> StreamingHttpResponse:
    """Every rejected row with its own columns, where, why and what to do."""
    imports = Import.objects.for_user(request.user).select_related("run", "dataset")
    started = get_object_or_404(imports, dataset__project=request.project, pk=import_id)
    report = read_report(started) if started.run.state == RunState.SUCCEEDED else None
    if report is None or report.errors_path is None:
        raise Http404("the import rejected no row")
    file = rejects_file(report, report.errors_path)
    response = StreamingHttpResponse(file.content, content_type=file.content_type)
    name = f"rejected-{started.pk}.{file.suffix}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response

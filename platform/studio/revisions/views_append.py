"""Rows of an import, or of another version, are added to a version."""

from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from pipeline.errors import SpecError
from studio.accounts.access import ProjectRequest, project_required
from studio.datasets.models import Import
from studio.datasets.parquet_pages import read_page
from studio.datasets.reports import ImportReport, read_report
from studio.datasets.rights import UPLOADERS
from studio.datasets.row_error_texts import shown_error
from studio.revisions import services
from studio.revisions.appended import rows_of_run, versions_to_extend
from studio.revisions.forms import AppendForm, CellsForm, TextForm
from studio.revisions.repairs import added_row, cells_to_repair, line_of
from studio.runs.states import RunState


@require_http_methods(["GET", "POST"])
@project_required(*UPLOADERS)
def append(request: ProjectRequest, import_id: int) -> HttpResponse:
    """The right rows of an import come behind those of an earlier version."""
    started = _import(request, import_id)
    rows = rows_of_run(started.run)
    if rows is None:
        raise Http404("the import has no right rows")
    versions = versions_to_extend(started)
    form = AppendForm(request.POST or None, versions=versions)
    if request.method == "POST" and form.is_valid():
        chosen = next(found for found in versions if found.pk == form.cleaned_data["version"])
        try:
            revision = services.revision_start(
                base=chosen,
                actor=request.user,
                reason=form.cleaned_data["reason"],
                appended=rows,
                same_id=form.cleaned_data["same_id"],
                idempotency_key=form.cleaned_data["idempotency_key"],
            )
        except (ValidationError, SpecError) as error:
            form.add_error(None, str(error))
        else:
            return redirect("revisions:status", request.project.slug, revision.pk)
    context = {"started": started, "appended": rows, "versions": versions, "form": form}
    return render(request, "revisions/append.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@project_required(*UPLOADERS)
def repair(request: ProjectRequest, import_id: int, index: int) -> HttpResponse:
    """A rejected row, to be corrected and added to the newest version of its data set."""
    started = _import(request, import_id)
    report, row = _rejected(started, index)
    version = started.dataset.versions.live().order_by("-number").first()
    cells = cells_to_repair(report, row)
    sent = request.POST or None
    form: CellsForm | TextForm
    if cells is not None:
        form = CellsForm(sent, kind=started.dataset.kind, columns=cells)
    else:
        form = TextForm(sent, initial={"text": row["row"]})
    if request.method == "POST" and version is not None and form.is_valid():
        try:
            services.change_collect(
                version=version,
                actor=request.user,
                change=added_row(form, line=line_of(row)),
                place=f"{started.pk} {index}",
            )
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return redirect("revisions:changes", request.project.slug, version.pk)
    context = {
        "started": started,
        "version": version,
        "form": form,
        "error": shown_error(row, report.headers),
    }
    return render(request, "revisions/repair.html", context, status=400 if form.errors else 200)


def _import(request: ProjectRequest, import_id: int) -> Import:
    imports = Import.objects.for_user(request.user).select_related("run", "dataset__project")
    return get_object_or_404(
        imports.select_related("upload"), dataset__project=request.project, pk=import_id
    )


def _rejected(started: Import, index: int) -> tuple[ImportReport, dict[str, object]]:
    report = read_report(started) if started.run.state == RunState.SUCCEEDED else None
    if report is None or report.errors_path is None:
        raise Http404("the import rejected no row")
    page = read_page(report.errors_path, start=index, size=1)
    if not page.rows:
        raise Http404(f"the import rejected {page.num_rows} rows")
    return report, page.rows[0][1]

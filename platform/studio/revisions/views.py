"""Rows of a version are changed here: each change waits, and a person makes a version of them."""

import json

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from pipeline.contracts.dataset_revisions import (
    DeleteRow,
    ReplaceRow,
    RowChange,
    TrimTexts,
)
from pipeline.errors import SpecError
from studio.accounts.access import ProjectRequest, project_required
from studio.datasets.models import DatasetVersion
from studio.datasets.parquet_pages import read_page
from studio.datasets.rights import UPLOADERS
from studio.datasets.version_tables import json_row
from studio.revisions import services
from studio.revisions.forms import ApplyForm, MapValueForm, RemoveForm, RowForm
from studio.revisions.models import PendingChange
from studio.revisions.shown_changes import shown_changes


@require_http_methods(["GET", "POST"])
@project_required(*UPLOADERS)
def edit(request: ProjectRequest, version_id: int, index: int) -> HttpResponse:
    """The texts of one row, to be corrected."""
    found = version_of(request, version_id)
    row = _row(found, index)
    form = RowForm(request.POST or None, kind=found.dataset.kind, row=row)
    if request.method == "POST" and form.is_valid():
        content = {name: value for name, value in form.changed_row().items() if name != "id"}
        change = ReplaceRow(
            id=str(row["id"]),
            text=json.dumps(content, ensure_ascii=False),
            reason=form.cleaned_data["reason"],
        )
        if _collect(request, found, change):
            return redirect("revisions:changes", request.project.slug, found.pk)
    context = {"version": found, "index": index, "row": row, "form": form}
    return render(request, "revisions/edit.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@project_required(*UPLOADERS)
def remove(request: ProjectRequest, version_id: int, index: int) -> HttpResponse:
    """One row is to be taken out, for a reason."""
    found = version_of(request, version_id)
    row = _row(found, index)
    form = RemoveForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        change = DeleteRow(id=str(row["id"]), reason=form.cleaned_data["reason"])
        if _collect(request, found, change):
            return redirect("revisions:changes", request.project.slug, found.pk)
    context = {"version": found, "index": index, "row": row, "form": form}
    return render(request, "revisions/remove.html", context, status=400 if form.errors else 200)


@require_POST
@project_required(*UPLOADERS)
def trim(request: ProjectRequest, version_id: int) -> HttpResponse:
    """White space at the ends of all texts is to be taken off."""
    found = version_of(request, version_id)
    _collect(request, found, TrimTexts())
    return redirect("revisions:changes", request.project.slug, found.pk)


@require_POST
@project_required(*UPLOADERS)
def map_value(request: ProjectRequest, version_id: int) -> HttpResponse:
    """One value of a field is to become another."""
    found = version_of(request, version_id)
    form = MapValueForm(request.POST, counts=_counts(found))
    if form.is_valid():
        _collect(request, found, form.change())
    else:
        for errors in form.errors.values():
            messages.error(request, str(errors[0]))
    return redirect("revisions:changes", request.project.slug, found.pk)


@require_http_methods(["GET", "POST"])
@project_required(*UPLOADERS)
def changes(request: ProjectRequest, version_id: int) -> HttpResponse:
    """The changes that the person has collected; a version is made of them."""
    found = version_of(request, version_id)
    form = ApplyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            revision = services.revision_start(
                base=found, actor=request.user, reason=form.cleaned_data["reason"]
            )
        except ValidationError as error:
            form.add_error(None, error)
        except SpecError as error:
            form.add_error(None, str(error))
        else:
            return redirect("revisions:status", request.project.slug, revision.pk)
    waiting = PendingChange.objects.waiting(found, request.user)
    context = {
        "version": found,
        "form": form,
        "changes": shown_changes(waiting),
        "map_form": MapValueForm(counts=_counts(found)),
    }
    return render(request, "revisions/changes.html", context, status=400 if form.errors else 200)


@require_POST
@project_required(*UPLOADERS)
def take_back(request: ProjectRequest, version_id: int, change_id: int) -> HttpResponse:
    """A collected change is forgotten."""
    found = version_of(request, version_id)
    PendingChange.objects.waiting(found, request.user).filter(pk=change_id).delete()
    return redirect("revisions:changes", request.project.slug, found.pk)


def version_of(request: ProjectRequest, version_id: int) -> DatasetVersion:
    """A version of the project whose rows are there."""
    versions = DatasetVersion.objects.for_user(request.user).live()
    return get_object_or_404(
        versions.select_related("dataset__project", "upload").defer("manifest"),
        dataset__project=request.project,
        pk=version_id,
    )


def _counts(version: DatasetVersion) -> dict[str, dict[str, int]]:
    """Rows by value, of the fields that have few values."""
    return {field: dict(counts.values) for field, counts in version.description.counts.items()}


def _row(version: DatasetVersion, index: int) -> dict[str, object]:
    page = read_page(version.rows_path, start=index, size=1)
    if not page.rows:
        raise Http404(f"the version has {page.num_rows} rows")
    return json_row(page.rows[0][1])


def _collect(request: ProjectRequest, version: DatasetVersion, change: RowChange) -> bool:
    try:
        services.change_collect(version=version, actor=request.user, change=change)
    except ValidationError as error:
        messages.error(request, error.messages[0])
        return False
    messages.success(request, _("The change was collected. It becomes part of the next version."))
    return True

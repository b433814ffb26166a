"""Before every row is read: how a file would be read, and what a person changes about it."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pipeline.contracts.preview_dataset import PreviewDatasetResults
from pipeline.errors import SpecError
from studio.accounts.access import ProjectRequest, project_required
from studio.datasets import services
from studio.datasets.mappings import mapping_forget, saved_mapping
from studio.datasets.models import Preview, SavedMapping
from studio.datasets.preview_pages import shown_preview
from studio.datasets.previews import (
    asked_options,
    check_start,
    options_in_force,
    preview_change,
    preview_results,
    preview_start,
)
from studio.datasets.reading_forms import ReadingForm
from studio.datasets.rights import UPLOADERS, may_change, refuse_others
from studio.pages.polling import polled

CHECK = "check"
"""Value of the button that goes on; the other shows the rows again."""


@require_http_methods(["GET", "POST"])
@project_required()
def preview(request: ProjectRequest, preview_id: int) -> HttpResponse:
    """The first rows as they would be stored; other choices make another preview."""
    found = _preview(request, preview_id)
    if request.method == "POST":
        refuse_others(request, found.created_by)
    results = preview_results(found)
    form = ReadingForm(
        request.POST or None, preview=found, options=options_in_force(found), results=results
    )
    if request.method == "POST" and form.is_valid():
        response = _go_on(request, found, form)
        if response is not None:
            return response
    context = {
        "preview": found,
        "can_change": may_change(request, found.created_by),
        "form": form,
        "shown": shown_preview(results, found.kind) if results is not None else None,
        "mapping": _mapping(found, results),
    }
    return render(request, "datasets/preview.html", context, status=400 if form.errors else 200)


def _go_on(request: ProjectRequest, found: Preview, form: ReadingForm) -> HttpResponse | None:
    """Where to go next; None when the form has errors now."""
    cleaned = form.cleaned_data
    try:
        chosen = preview_change(
            shown=found,
            actor=request.user,
            dataset_name=cleaned["dataset_name"].strip(),
            kind=cleaned["kind"],
            options=cleaned["options"],
            note=cleaned["note"],
            remembers=cleaned.get("remembers", found.remembers),
        )
        if request.POST.get("action") != CHECK:
            return redirect("datasets:preview", request.project.slug, chosen.pk)
        started = check_start(preview=chosen, actor=request.user)
    except ValidationError as error:
        form.add_error("dataset_name", error)
    except SpecError as error:
        form.add_error(None, str(error))
    else:
        return redirect("datasets:checking", request.project.slug, started.pk)
    return None


@require_safe
@project_required()
def preview_progress(request: ProjectRequest, preview_id: int) -> HttpResponse:
    """The part of the page that changes while the run looks at the file."""
    found = _preview(request, preview_id)
    response = render(request, "datasets/_progress.html", {"run": found.run})
    return polled(response, has_ended=found.run.is_terminal)


@require_POST
@project_required(*UPLOADERS)
def forget(request: ProjectRequest, preview_id: int) -> HttpResponse:
    """The saved mapping that the preview used is removed, and the file looked at without it."""
    found = _preview(request, preview_id)
    refuse_others(request, found.created_by)
    mapping = _mapping(found, preview_results(found))
    with transaction.atomic():
        if mapping is not None:
            mapping_forget(mapping=mapping, actor=request.user)
        again = preview_start(
            upload=found.upload,
            actor=request.user,
            dataset_name=found.dataset_name,
            kind=found.kind,
            options=asked_options(found.run),
            note=found.note,
        )
    messages.success(request, _("The saved meaning of these columns was removed."))
    return redirect("datasets:preview", request.project.slug, again.pk)


@require_POST
@project_required(*UPLOADERS)
def discard(request: ProjectRequest, preview_id: int) -> HttpResponse:
    """The uploaded file is removed."""
    found = _preview(request, preview_id)
    refuse_others(request, found.created_by)
    try:
        services.upload_discard(upload=found.upload, actor=request.user)
    except ValidationError as error:
        messages.error(request, error.messages[0])
        return redirect("datasets:preview", request.project.slug, found.pk)
    messages.success(request, _("%(file)s was discarded.") % {"file": found.upload.file_name})
    return redirect("datasets:index", request.project.slug)


def _mapping(found: Preview, results: PreviewDatasetResults | None) -> SavedMapping | None:
    """The saved mapping that the preview used."""
    if results is None or not results.is_saved_mapping:
        return None
    return saved_mapping(found, results.shape)


def _preview(request: ProjectRequest, preview_id: int) -> Preview:
    previews = Preview.objects.for_user(request.user).select_related(
        "upload__project", "upload__uploader", "run", "created_by"
    )
    return get_object_or_404(previews, upload__project=request.project, pk=preview_id)

"""Tags and remarks: what people say of a version. Its rows and its digest do not depend on them."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from studio.accounts.access import ProjectRequest, project_required
from studio.datasets.rights import UPLOADERS
from studio.revisions import labels
from studio.revisions.forms import RemarkForm, TagForm
from studio.revisions.views import version_of


@require_POST
@project_required(*UPLOADERS)
def tag(request: ProjectRequest, version_id: int) -> HttpResponse:
    """A tag is put on the version."""
    found = version_of(request, version_id)
    form = TagForm(request.POST)
    if form.is_valid():
        labels.tag_add(version=found, actor=request.user, name=form.cleaned_data["name"])
    else:
        messages.error(request, str(form.errors["name"][0]))
    return redirect("datasets:version", request.project.slug, found.pk)


@require_POST
@project_required(*UPLOADERS)
def untag(request: ProjectRequest, version_id: int, tag_id: int) -> HttpResponse:
    """A tag is taken off the version."""
    found = version_of(request, version_id)
    labels.tag_remove(version=found, actor=request.user, tag_id=tag_id)
    return redirect("datasets:version", request.project.slug, found.pk)


@require_POST
@project_required(*UPLOADERS)
def remark(request: ProjectRequest, version_id: int) -> HttpResponse:
    """Somebody has something to say about the version."""
    found = version_of(request, version_id)
    form = RemarkForm(request.POST)
    if form.is_valid():
        labels.remark_add(version=found, actor=request.user, text=form.cleaned_data["text"])
    else:
        messages.error(request, str(form.errors["text"][0]))
    return redirect("datasets:version", request.project.slug, found.pk)

"""The token-and-mask preview: what a training would make of rows of a version."""

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from pipeline.contracts.token_preview import MAX_PREVIEW_ROWS, PreviewTokensResults
from pipeline.errors import SpecError
from studio.accounts.access import ProjectRequest, RoleRequiredError, project_required
from studio.datasets.models import DatasetKind
from studio.pages.polling import polled
from studio.quality import services
from studio.quality.forms import PreviewForm
from studio.quality.models import TokenPreview
from studio.quality.token_rows import read_token_rows
from studio.quality.views import STARTERS, can_start, find_version
from studio.runs.paths import attempt_dir
from studio.runs.reports import run_report

MAX_LISTED = 10


@require_http_methods(["GET", "POST"])
@project_required()
def tokens(request: ProjectRequest, version_id: int) -> HttpResponse:
    """What to preview, and earlier previews of the version."""
    version = find_version(request, version_id)
    if version.dataset.kind == DatasetKind.MULTIPLE_CHOICE:
        raise Http404("nothing trains on multiple choice")
    if request.method == "POST" and not can_start(request):
        raise RoleRequiredError(STARTERS)
    form = PreviewForm(request.POST or None, project=request.project)
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        try:
            preview = services.preview_start(
                version=version,
                checkpoint=chosen["checkpoint"],
                actor=request.user,
                start=chosen["first_row"] - 1,
                num_rows=chosen["num_rows"],
                max_seq_length=chosen["max_seq_length"],
            )
        except SpecError as error:
            form.add_error(None, str(error))
        else:
            return redirect("quality:token_preview", request.project.slug, preview.pk)
    previews = version.token_previews.select_related("run", "checkpoint", "created_by")
    context = {
        "version": version,
        "form": form,
        "can_start": can_start(request),
        "previews": previews.defer("run__spec", "checkpoint__facts").order_by("-pk")[:MAX_LISTED],
    }
    return render(request, "quality/tokens.html", context, status=400 if form.errors else 200)


@require_safe
@project_required()
def token_preview(request: ProjectRequest, token_preview_id: int) -> HttpResponse:
    """The tokens of the rows: trained or not, and where training cuts."""
    preview = _preview(request, token_preview_id)
    context: dict[str, object] = {"preview": preview, "version": preview.version}
    report = run_report(preview.run)
    if report is not None and isinstance(report.results, PreviewTokensResults):
        path = attempt_dir(preview.run_id, preview.run.attempt) / report.outputs["tokens"].path
        context |= {
            "results": report.results,
            "max_seq_length": preview.run.spec["max_seq_length"],
            "rows": read_token_rows(path, size=MAX_PREVIEW_ROWS),
        }
    return render(request, "quality/token_preview.html", context)


@require_safe
@project_required()
def token_progress(request: ProjectRequest, token_preview_id: int) -> HttpResponse:
    """The part of the preview's page that changes while its run works."""
    preview = _preview(request, token_preview_id)
    working = [] if preview.run.is_terminal else [preview.run]
    response = render(request, "quality/_progress.html", {"working": working})
    return polled(response, has_ended=not working)


def _preview(request: ProjectRequest, token_preview_id: int) -> TokenPreview:
    previews = TokenPreview.objects.for_user(request.user).select_related(
        "version__dataset__project", "run", "checkpoint", "created_by"
    )
    return get_object_or_404(
        previews.defer("version__manifest", "checkpoint__facts"),
        version__dataset__project=request.project,
        pk=token_preview_id,
    )

"""Data sets: the list, the upload, and the report of what an upload held."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, Prefetch, QuerySet, Subquery
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from studio.accounts.access import ProjectRequest, project_required
from studio.datasets import services
from studio.datasets.downloads import EXAMPLE_FORMATS, example_file
from studio.datasets.forms import UploadForm
from studio.datasets.models import Dataset, DatasetKind, DatasetVersion, Import
from studio.datasets.previews import preview_start
from studio.datasets.rights import UPLOADERS, may_upload
from studio.datasets.upload_handler import exceeded_cap_of
from studio.pages.pagination import keyset_page

EXAMPLE_TYPES = {
    "jsonl": "application/jsonl; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@require_safe
@project_required()
def index(request: ProjectRequest) -> HttpResponse:
    """The project's data sets, newest first."""
    datasets = Dataset.objects.for_user(request.user).filter(project=request.project)
    page = keyset_page(_with_newest(datasets), request=request)
    return render(
        request,
        "datasets/index.html",
        {
            "page": page,
            "can_upload": may_upload(request),
            "kinds": DatasetKind.choices,
            "formats": EXAMPLE_FORMATS,
        },
    )


@require_safe
@project_required()
def example(request: ProjectRequest) -> HttpResponse:
    """A small valid file of one kind, in the reader's language."""
    kind, file_format = request.GET.get("kind", "corpus"), request.GET.get("format", "jsonl")
    if kind not in DatasetKind.values or file_format not in EXAMPLE_FORMATS:
        raise Http404(f"no example {kind}.{file_format}")
    lang = "zh" if get_language() == "zh-hans" else "en"
    content = example_file(DatasetKind(kind), file_format, lang=lang)
    response = HttpResponse(content, content_type=EXAMPLE_TYPES[file_format])
    response["Content-Disposition"] = f'attachment; filename="{kind}.{lang}.{file_format}"'
    return response


@require_http_methods(["GET", "POST"])
@project_required(*UPLOADERS)
def upload(request: ProjectRequest) -> HttpResponse:
    """A file is stored and a run looks at it; one that is a version already is shown instead."""
    if request.method == "POST":
        announced = request.META.get("CONTENT_LENGTH") or "0"
        form = UploadForm(
            request.POST,
            request.FILES,
            project=request.project,
            num_request_bytes=int(announced) if announced.isdecimal() else 0,
            exceeded_cap=exceeded_cap_of(request),
        )
        if form.is_valid():
            response = _store_and_look(request, form)
            if response is not None:
                return response
    else:
        initial = {name: request.GET.get(name, "") for name in ("name", "kind")}
        form = UploadForm(project=request.project, initial=initial)
    context = {"form": form, "kinds": DatasetKind.choices, "formats": EXAMPLE_FORMATS}
    return render(request, "datasets/upload.html", context, status=400 if form.errors else 200)


def _store_and_look(request: ProjectRequest, form: UploadForm) -> HttpResponse | None:
    """Where to go next; None when the form has errors now."""
    cleaned = form.cleaned_data
    sha256 = services.file_sha256(cleaned["file"])
    known = services.known_version(project=request.project, sha256=sha256, kind=cleaned["kind"])
    if known is not None:
        messages.info(
            request,
            _("This exact file is %(version)s already, uploaded by %(user)s on %(date)s.")
            % {
                "version": known,
                "user": known.created_by.username,
                "date": known.created_at.strftime("%Y-%m-%d"),
            },
        )
        return redirect("datasets:version", request.project.slug, known.pk)
    stored = services.upload_create(
        project=request.project, actor=request.user, file=cleaned["file"], sha256=sha256
    )
    try:
        preview = preview_start(
            upload=stored,
            actor=request.user,
            dataset_name=cleaned["name"],
            kind=cleaned["kind"],
            note=cleaned["note"],
        )
    except ValidationError as error:
        form.add_error("name", error)
        return None
    return redirect("datasets:preview", request.project.slug, preview.pk)


@require_safe
@project_required()
def dataset(request: ProjectRequest, dataset_id: int) -> HttpResponse:
    """The versions of a data set and the uploads they came from."""
    found = get_object_or_404(
        Dataset.objects.for_user(request.user), project=request.project, pk=dataset_id
    )
    versions = found.versions.select_related("created_by", "upload").defer("manifest")
    versions = versions.prefetch_related("tags")
    imports = found.imports.select_related("created_by", "upload", "run", "run__dataset_version")
    page = keyset_page(imports.defer("run__spec", "run__report"), request=request)
    return render(
        request,
        "datasets/dataset.html",
        {
            "dataset": found,
            "versions": versions.order_by("-number"),
            "page": page,
            "can_upload": may_upload(request),
        },
    )


def _with_newest(datasets: QuerySet[Dataset]) -> QuerySet[Dataset]:
    """With `newest_version` and `newest_import`, lists of at most one."""
    of_same = DatasetVersion.objects.live().filter(dataset=OuterRef("dataset"))
    versions = DatasetVersion.objects.filter(
        pk=Subquery(of_same.order_by("-number").values("pk")[:1])
    )
    imports = Import.objects.filter(
        pk=Subquery(
            Import.objects.filter(dataset=OuterRef("dataset")).order_by("-pk").values("pk")[:1]
        )
    )
    return datasets.prefetch_related(
        Prefetch(
            "versions",
            versions.select_related("created_by").defer("manifest"),
            to_attr="newest_version",
        ),
        Prefetch(
            "imports",
            imports.select_related("upload", "run__dataset_version").defer(
                "run__spec", "run__report", "run__dataset_version__manifest"
            ),
            to_attr="newest_import",
        ),
    )

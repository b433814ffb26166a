"""Data sets: the list, the upload, and the report of what an upload held."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, Prefetch, QuerySet, Subquery
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pipeline.errors import SpecError
from studio.accounts.access import ProjectRequest, RoleRequiredError, project_required
from studio.accounts.models import Role
from studio.datasets import services
from studio.datasets.downloads import EXAMPLE_FORMATS, example_file, rejects_csv
from studio.datasets.forms import AgainForm, UploadForm
from studio.datasets.models import Dataset, DatasetKind, DatasetVersion, Import, ImportPolicy
from studio.datasets.reports import ImportReport, read_columns, read_report
from studio.datasets.upload_handler import exceeded_cap_of
from studio.pages.pagination import keyset_page
from studio.runs.kinds import KINDS
from studio.runs.states import RunState

UPLOADERS = KINDS["import_dataset"].starters
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
            "can_upload": _can_upload(request),
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
    """A file is stored and a run reads it; a file that is a version already is shown instead."""
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
            response = _store_and_import(request, form)
            if response is not None:
                return response
    else:
        initial = {name: request.GET.get(name, "") for name in ("name", "kind")}
        form = UploadForm(project=request.project, initial={"policy": "", **initial})
    context = {"form": form, "kinds": DatasetKind.choices, "formats": EXAMPLE_FORMATS}
    return render(request, "datasets/upload.html", context, status=400 if form.errors else 200)


def _store_and_import(request: ProjectRequest, form: UploadForm) -> HttpResponse | None:
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
        started = services.import_start(
            upload=stored,
            actor=request.user,
            dataset_name=cleaned["name"],
            kind=cleaned["kind"],
            policy=cleaned["policy"],
            encoding=cleaned["encoding"],
            sheet=cleaned["sheet"],
            note=cleaned["note"],
        )
    except ValidationError as error:
        form.add_error("name", error)
        return None
    return redirect("datasets:report", request.project.slug, started.pk)


@require_safe
@project_required()
def dataset(request: ProjectRequest, dataset_id: int) -> HttpResponse:
    """The versions of a data set and the uploads they came from."""
    found = get_object_or_404(
        Dataset.objects.for_user(request.user), project=request.project, pk=dataset_id
    )
    versions = found.versions.select_related("created_by", "upload").defer("manifest")
    imports = found.imports.select_related("created_by", "upload", "run", "run__dataset_version")
    page = keyset_page(imports.defer("run__spec", "run__report"), request=request)
    return render(
        request,
        "datasets/dataset.html",
        {
            "dataset": found,
            "versions": versions.order_by("-number"),
            "page": page,
            "can_upload": _can_upload(request),
        },
    )


@require_safe
@project_required()
def report(request: ProjectRequest, import_id: int) -> HttpResponse:
    """How far the reading is, or what was found."""
    started = _import(request, import_id)
    context: dict[str, object] = {
        "started": started,
        "can_change": _can_change(request, started),
        "version": DatasetVersion.objects.filter(run=started.run).select_related("dataset").first(),
    }
    if started.run.state == RunState.SUCCEEDED:
        context["report"] = read_report(
            started, code=request.GET.get("code", ""), start=_start(request)
        )
    return render(request, "datasets/report.html", context)


@require_safe
@project_required()
def progress(request: ProjectRequest, import_id: int) -> HttpResponse:
    """The part of the report page that changes while the run is working."""
    started = _import(request, import_id)
    response = render(request, "datasets/_progress.html", {"started": started})
    if started.run.is_terminal:
        response["X-Poll-Reload"] = "1"
    return response


@require_safe
@project_required()
def rejects(request: ProjectRequest, import_id: int) -> StreamingHttpResponse:
    """Every rejected row with its own columns, where, why and what to do."""
    started = _import(request, import_id)
    found = _report(started)
    if found.errors_path is None:
        raise Http404("no row was rejected")
    lines = rejects_csv(
        found.errors_path,
        found.table_columns,
        found.headers,
        is_of_several=bool(found.source.members),
    )
    response = StreamingHttpResponse(
        (line.encode() for line in lines), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="rejected-{started.pk}.csv"'
    return response


@require_http_methods(["GET", "POST"])
@project_required(*UPLOADERS)
def again(request: ProjectRequest, import_id: int) -> HttpResponse:
    """The same upload is read with another encoding, sheet, policy or meaning of its columns."""
    earlier = _changeable_import(request, import_id)
    form = AgainForm(request.POST or None, earlier=earlier, columns=read_columns(earlier))
    if request.method == "POST" and form.is_valid():
        changes = {name: form.cleaned_data[name] for name in ("policy", "encoding", "sheet")}
        try:
            started = services.import_again(
                earlier=earlier,
                actor=request.user,
                columns=form.cleaned_data["columns"],
                **changes,
            )
        except SpecError as error:
            form.add_error(None, str(error))
        else:
            return redirect("datasets:report", request.project.slug, started.pk)
    return render(
        request,
        "datasets/again.html",
        {"form": form, "earlier": earlier},
        status=400 if form.errors else 200,
    )


@require_POST
@project_required(*UPLOADERS)
def commit(request: ProjectRequest, import_id: int) -> HttpResponse:
    """The rows that are right become a version, by a run that leaves the others out."""
    earlier = _changeable_import(request, import_id)
    try:
        started = services.import_again(
            earlier=earlier, actor=request.user, policy=ImportPolicy.VALID_ROWS
        )
    except SpecError as error:
        messages.error(request, str(error))
        return redirect("datasets:report", request.project.slug, earlier.pk)
    return redirect("datasets:report", request.project.slug, started.pk)


@require_POST
@project_required(*UPLOADERS)
def discard(request: ProjectRequest, import_id: int) -> HttpResponse:
    """The uploaded file is removed."""
    started = _changeable_import(request, import_id)
    try:
        services.upload_discard(upload=started.upload, actor=request.user)
    except ValidationError as error:
        messages.error(request, error.messages[0])
        return redirect("datasets:report", request.project.slug, started.pk)
    messages.success(request, _("%(file)s was discarded.") % {"file": started.upload.file_name})
    return redirect("datasets:index", request.project.slug)


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
            imports.select_related("run").defer("run__spec", "run__report"),
            to_attr="newest_import",
        ),
    )


def _import(request: ProjectRequest, import_id: int) -> Import:
    imports = Import.objects.for_user(request.user).select_related(
        "upload__uploader", "dataset__project", "run", "created_by"
    )
    return get_object_or_404(imports, dataset__project=request.project, pk=import_id)


def _changeable_import(request: ProjectRequest, import_id: int) -> Import:
    """The import, if its sender may act on it: it is their own, or they administer the project."""
    started = _import(request, import_id)
    if not _can_change(request, started):
        raise RoleRequiredError((Role.ADMIN,))
    return started


def _can_change(request: ProjectRequest, started: Import) -> bool:
    return request.role == Role.ADMIN or (
        _can_upload(request) and started.created_by == request.user
    )


def _can_upload(request: ProjectRequest) -> bool:
    return request.role in (*UPLOADERS, Role.ADMIN)


def _report(started: Import) -> ImportReport:
    found = read_report(started) if started.run.state == RunState.SUCCEEDED else None
    if found is None:
        raise Http404("the import has no report")
    return found


def _start(request: ProjectRequest) -> int:
    value = request.GET.get("start", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else 0

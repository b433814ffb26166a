"""Checkpoints: list, card, lineage, import."""

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Prefetch
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pipeline.errors import SpecError
from studio.accounts.access import ProjectRequest, RoleRequiredError, project_required
from studio.accounts.models import Role
from studio.pages.pagination import keyset_page
from studio.pages.polling import polled
from studio.registry import services
from studio.registry.candidates import import_candidates
from studio.registry.card import checkpoint_inputs, measurements, report_figures
from studio.registry.certificates import MAX_SHOWN, certificates_of, signing_key_id
from studio.registry.error_texts import error_text
from studio.registry.forms import ImportForm
from studio.registry.lineage import draw_lineage, relatives
from studio.registry.models import Checkpoint, CheckpointParent
from studio.registry.querysets import CheckpointQuerySet
from studio.runs.models import Run
from studio.runs.reports import run_report

MAX_DRAWN = 300


@require_safe
@project_required()
def index(request: ProjectRequest) -> HttpResponse:
    """The project's checkpoints, newest first."""
    checkpoints = (
        _checkpoints(request)
        .select_related("created_by", "run")
        .defer("facts", "run__spec", "run__report")
        .prefetch_related(
            Prefetch("parent_links", CheckpointParent.objects.select_related("parent"))
        )
    )
    page = keyset_page(checkpoints, request=request)
    context = {"page": page, "can_import": _can_import(request)}
    return render(request, "registry/index.html", context)


@require_safe
@project_required()
def lineage(request: ProjectRequest) -> HttpResponse:
    """Which checkpoint came from which, as a drawing and as a table."""
    checkpoints = list(_checkpoints(request).defer("facts").order_by("-pk")[: MAX_DRAWN + 1])
    drawn = checkpoints[:MAX_DRAWN][::-1]
    links = CheckpointParent.objects.filter(child__project=request.project)
    context = {
        "lineage": draw_lineage(drawn, links),
        "max_drawn": MAX_DRAWN if len(checkpoints) > MAX_DRAWN else None,
    }
    return render(request, "registry/lineage.html", context)


@require_safe
@project_required()
def checkpoint(request: ProjectRequest, checkpoint_id: int) -> HttpResponse:
    """Everything that is known of one checkpoint."""
    found = _checkpoint(request, checkpoint_id)
    links = list(CheckpointParent.objects.filter(child__project=request.project))
    family = _checkpoints(request).filter(pk__in=relatives(found.pk, links)).defer("facts")
    report = run_report(found.run) if found.run else None
    return render(
        request,
        "registry/checkpoint.html",
        {
            "checkpoint": found,
            "lineage": draw_lineage(family.order_by("pk"), links, current=found),
            "inputs": checkpoint_inputs(found, report),
            "environment": report.environment if report else None,
            "code_version": report.code_version if report else "",
            "figures": report_figures(report) if report else [],
            "results": measurements(found),
            "certificates": (certificates := certificates_of(found)),
            "signing_key_id": signing_key_id() if certificates else "",
            "certificate_limit": MAX_SHOWN,
            "can_delete": _can_delete(request, found),
        },
    )


@require_http_methods(["GET", "POST"])
@project_required(Role.ENGINEER)
def import_model(request: ProjectRequest) -> HttpResponse:
    """A run inspects and copies a model from one of the allowed folders."""
    candidates = import_candidates()
    form = ImportForm(request.POST or None, candidates=candidates)
    if request.method == "POST" and form.is_valid():
        try:
            run = services.import_start(
                project=request.project,
                actor=request.user,
                candidate=form.candidate,
                name=form.checkpoint_name,
                license_note=form.cleaned_data["license_note"],
            )
        except SpecError as error:
            form.add_error("model", str(error))
        else:
            return redirect("registry:import_status", request.project.slug, run.pk)
    context = {
        "form": form,
        "has_candidates": bool(candidates),
        "folders": settings.STUDIO_IMPORT_DIRS,
    }
    return render(
        request, "registry/import_model.html", context, status=400 if form.errors else 200
    )


@require_safe
@project_required()
def import_status(request: ProjectRequest, import_run_id: str) -> HttpResponse:
    """How far the import is, or why it was refused."""
    run = _import_run(request, import_run_id)
    return render(
        request,
        "registry/import_status.html",
        {
            "run": run,
            "error": error_text(run.error_code) if run.error_code else None,
            "checkpoint": Checkpoint.objects.filter(run=run).first(),
        },
    )


@require_safe
@project_required()
def import_progress(request: ProjectRequest, import_run_id: str) -> HttpResponse:
    """The part of the import's page that changes while the run is working."""
    run = _import_run(request, import_run_id)
    response = render(request, "registry/_import_progress.html", {"run": run})
    return polled(response, has_ended=run.is_terminal)


@require_POST
@project_required(Role.ENGINEER)
def delete(request: ProjectRequest, checkpoint_id: int) -> HttpResponse:
    """The model's files are removed; the card stays."""
    found = _checkpoint(request, checkpoint_id)
    if not _can_delete(request, found):
        raise RoleRequiredError((Role.ADMIN,))
    try:
        services.checkpoint_delete(checkpoint=found, actor=request.user)
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        messages.success(request, _("%(name)s was deleted.") % {"name": found.name})
    return redirect("registry:checkpoint", request.project.slug, found.pk)


def _checkpoints(request: ProjectRequest) -> CheckpointQuerySet:
    return Checkpoint.objects.for_user(request.user).filter(project=request.project)


def _checkpoint(request: ProjectRequest, checkpoint_id: int) -> Checkpoint:
    checkpoints = _checkpoints(request).select_related("project", "created_by", "deleted_by", "run")
    found: Checkpoint = get_object_or_404(checkpoints, pk=checkpoint_id)
    return found


def _import_run(request: ProjectRequest, run_id: str) -> Run:
    runs = Run.objects.for_user(request.user).filter(kind="import_checkpoint")
    return get_object_or_404(runs, project=request.project, pk=run_id)


def _can_import(request: ProjectRequest) -> bool:
    return request.role in (Role.ENGINEER, Role.ADMIN)


def _can_delete(request: ProjectRequest, found: Checkpoint) -> bool:
    if found.deleted_at is not None:
        return False
    is_own = request.role == Role.ENGINEER and found.created_by == request.user
    return is_own or request.role == Role.ADMIN

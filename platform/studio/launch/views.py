"""New runs and plans: the choice of a kind, the form made from its spec, and the whole method."""

from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from pipeline.contracts.documents import read_run_spec
from pipeline.contracts.upgrades import upgrade_spec
from pipeline.errors import SpecError
from studio.accounts.access import ProjectRequest, project_required
from studio.accounts.models import Role
from studio.launch.choices import ProjectChoices
from studio.launch.field_groups import field_groups
from studio.launch.forms import DocumentForm, MethodForm, SpecForm
from studio.launch.method import method_plan
from studio.launch.objects import ObjectNames, with_objects_found
from studio.launch.problems import spec_problems
from studio.runs import live, services
from studio.runs.kinds import KINDS
from studio.runs.models import Run


@require_http_methods(["GET", "POST"])
@project_required(Role.ENGINEER)
def launch(request: ProjectRequest) -> HttpResponse:
    """A form for the kind in the address (`?kind=`), or for the run it starts from (`?from=`)."""
    template = _template(request)
    kind = template.kind if template else request.GET.get("kind", "")
    if not _is_offered(kind):
        kinds = [offered for offered in KINDS.values() if offered.is_offered]
        return render(request, "launch/kinds.html", {"kinds": kinds})
    earlier = upgrade_spec(template.spec) if template else None
    choices = ProjectChoices(request.project, earlier=earlier)
    is_document = "document" in request.POST
    form = SpecForm(
        request.POST if request.method == "POST" and not is_document else None,
        kind=kind,
        choices=choices,
        initial_document=earlier,
    )
    document_form = DocumentForm(request.POST if is_document else None)
    run = None
    if is_document and document_form.is_valid():
        run = _start_document(request, document_form, template)
    elif form.is_bound and form.is_valid():
        run = _start_form(request, form, template)
    if run is not None:
        return redirect("runs:detail", request.project.slug, run.pk)
    has_errors = bool(form.errors or document_form.errors)
    context = {
        "form": form,
        "sections": field_groups(form, form.root),
        "document_form": document_form,
        "kind": KINDS[kind],
        "template": template,
    }
    return render(request, "launch/run.html", context, status=400 if has_errors else 200)


@require_http_methods(["GET", "POST"])
@project_required(Role.ENGINEER)
def method(request: ProjectRequest) -> HttpResponse:
    """The whole method as one plan, started with one button."""
    posted = request.POST if request.method == "POST" else None
    form = MethodForm(posted, choices=ProjectChoices(request.project))
    if form.is_bound and form.is_valid():
        try:
            spec = method_plan(
                request.project, base_path=form.base_path, lang=form.cleaned_data["lang"]
            )
            plan = services.plan_create(
                project=request.project,
                actor=request.user,
                spec=spec,
                idempotency_key=form.cleaned_data["idempotency_key"],
            )
        except SpecError as error:
            form.add_error(None, str(error))
        else:
            return redirect("runs:plan", request.project.slug, plan.pk)
    return render(request, "launch/method.html", {"form": form}, status=400 if form.errors else 200)


def _start_form(request: ProjectRequest, form: SpecForm, template: Run | None) -> Run | None:
    try:
        return services.run_create(
            project=request.project,
            actor=request.user,
            spec=form.spec,
            idempotency_key=form.cleaned_data["idempotency_key"],
            cloned_from=template,
        )
    except SpecError as error:
        form.add_spec_error(error)
        return None


def _start_document(
    request: ProjectRequest, form: DocumentForm, template: Run | None
) -> Run | None:
    try:
        return services.run_create(
            project=request.project,
            actor=request.user,
            spec=read_run_spec(
                with_objects_found(
                    form.cleaned_data["document"], ObjectNames(request.project, request.user)
                )
            ),
            idempotency_key=form.cleaned_data["document_key"],
            cloned_from=template,
        )
    except SpecError as error:
        for path, message in spec_problems(error):
            form.add_error("document", f"{path}: {message}" if path else message)
        return None


def _is_offered(kind: str) -> bool:
    return kind in KINDS and KINDS[kind].is_offered


def _template(request: ProjectRequest) -> Run | None:
    """The run whose settings fill the form."""
    if "from" not in request.GET:
        return None
    try:
        run_id = UUID(request.GET["from"])
    except ValueError:
        raise Http404("not a run id") from None
    run = live.project_runs(request).filter(pk=run_id).first()
    if run is None or not _is_offered(run.kind):
        raise Http404(f"no run {run_id} to start from")
    return run

"""Downloads by which anybody can check a lossless certificate without the platform."""

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from studio.accounts.access import ProjectRequest, project_required
from studio.registry.models import Certificate
from studio.registry.signing import public_key


@require_safe
@project_required()
def download(request: ProjectRequest, certificate_id: int) -> HttpResponse:
    """The certificate's file, to the byte."""
    found = get_object_or_404(Certificate, pk=certificate_id, project=request.project)
    response = HttpResponse(found.document.encode(), content_type="application/json")
    name = f"certificate-{found.pk}.json"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_safe
@project_required()
def signing_key(request: ProjectRequest) -> HttpResponse:
    """The public key that the platform signs with today."""
    try:
        _key_id, pem = public_key()
    except (OSError, ValueError) as exc:
        raise Http404("the signing key cannot be used") from exc
    response = HttpResponse(pem, content_type="application/x-pem-file")
    response["Content-Disposition"] = 'attachment; filename="certificates-key.pem"'
    return response
